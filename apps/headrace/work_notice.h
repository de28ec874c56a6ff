#pragma once
// Says how far training or verification is, step by step, as Progress does.

#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>

#include "progress.h"
#include "training/work_progress.h"

namespace headrace::app {

// From its making to its end, on a thread of its own.
class WorkNotice {
 public:
  // Both outlive it.
  WorkNotice(std::FILE* err, const training::WorkProgress& work);

  // A line of its own. From any thread.
  void Say(std::string_view text);

 private:
  void Look();

  std::FILE* err_;
  const training::WorkProgress& work_;
  std::mutex mutex_;  // guards the rest
  uint64_t step_ = 0;
  std::optional<Progress> shown_;  // of the step
  std::condition_variable_any wake_;
  std::jthread thread_;
};

}  // namespace headrace::app
