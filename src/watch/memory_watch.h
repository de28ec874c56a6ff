#pragma once
// Holds the process to its memory budget: measures what it has beside what is charged, and lets the
// budget count it.

#include <memory>

#include "base/memory_budget.h"
#include "env/environment.h"

namespace headrace::watch {

struct MemoryWatchOptions {
  env::MonotonicTime look_every = std::chrono::milliseconds(10);
  env::MonotonicTime give_back_every = std::chrono::milliseconds(250);
  env::MonotonicTime forget_after = std::chrono::seconds(2);  // a peak that did not come again
  uint64_t overlooked_share = 32;  // the limit divided by it may be held beside the charges
};

// Runs from Make to the destructor on its own real-time executor. What the process has at Make is
// the program itself and does not count. The highest of the last `forget_after` counts, so that
// requests are not let in and refused by turns.
class MemoryWatch {
 public:
  // `environment` and `budget` outlive it.
  static std::unique_ptr<MemoryWatch> Make(env::Environment& environment,
                                           base::MemoryBudget& budget,
                                           MemoryWatchOptions options = {});
  virtual ~MemoryWatch() = default;
};

}  // namespace headrace::watch
