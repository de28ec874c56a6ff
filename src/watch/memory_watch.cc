#include "watch/memory_watch.h"

#include <algorithm>

#include "env/allocator.h"
#include "env/end_executor.h"
#include "env/pages.h"
#include "env/process_memory.h"

namespace headrace::watch {
namespace {

class RunningMemoryWatch final : public MemoryWatch {
 public:
  RunningMemoryWatch(env::Environment& environment, base::MemoryBudget& budget,
                     MemoryWatchOptions options)
      : clock_(environment.clock()),
        budget_(budget),
        options_(options),
        at_start_(env::ResidentBytes() + budget.limit_bytes() / options.overlooked_share),
        executor_(environment.NewExecutor("memory", env::Priority::kRealTime)) {
    executor_->Post([this] { Look(); });
  }
  ~RunningMemoryWatch() override { env::EndExecutor(executor_); }

 private:
  void Look() {
    const env::MonotonicTime now = clock_.Now();
    // Charges first: what is freed between the two readings must not look uncharged.
    const uint64_t charged = budget_.used_bytes();
    const uint64_t resident = env::ResidentBytes();
    const uint64_t expected = charged + at_start_ + env::PagesAhead::BytesAtHand();
    const uint64_t uncharged = resident > expected ? resident - expected : 0;
    if (uncharged >= highest_ || now >= highest_at_ + options_.forget_after) {
      highest_ = uncharged;
      highest_at_ = now;
      budget_.SetUncharged(uncharged);
    }
    // Near the end, memory that is free but still held counts against us.
    if (resident > budget_.limit_bytes() / 4 * 3 &&
        now >= given_back_at_ + options_.give_back_every) {
      env::GiveFreeMemoryBack();
      given_back_at_ = clock_.Now();
    }
    executor_->PostAt(now + options_.look_every, [this] { Look(); });
  }

  env::Clock& clock_;
  base::MemoryBudget& budget_;
  const MemoryWatchOptions options_;
  const uint64_t at_start_;  // with what is overlooked
  uint64_t highest_ = 0;
  env::MonotonicTime highest_at_{0};
  env::MonotonicTime given_back_at_{0};
  std::unique_ptr<env::Executor> executor_;
};

}  // namespace

std::unique_ptr<MemoryWatch> MemoryWatch::Make(env::Environment& environment,
                                               base::MemoryBudget& budget,
                                               MemoryWatchOptions options) {
  return std::make_unique<RunningMemoryWatch>(environment, budget, options);
}

}  // namespace headrace::watch
