#pragma once
// Ends an executor whose own tasks post to it through the pointer that holds it.
//
// unique_ptr::reset empties the pointer before it deletes, so that a task that runs meanwhile, and
// posts its successor, would find null. Here the pointer stays until the last task has run.

#include <memory>

#include "env/executor.h"

namespace headrace::env {

inline void EndExecutor(std::unique_ptr<Executor>& executor) {
  delete executor.get();  // runs what was posted, then joins
  (void)executor.release();
}

}  // namespace headrace::env
