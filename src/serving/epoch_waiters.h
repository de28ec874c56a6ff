#pragma once
// Requests that wait until an epoch is visible, or until their deadline.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "base/ids.h"
#include "base/memory_budget.h"
#include "base/result.h"
#include "env/clock.h"
#include "env/executor.h"

namespace headrace::serving {

// Thread-safe. Shared because deadlines that lie ahead may outlive its owner.
class EpochWaiters : public std::enable_shared_from_this<EpochWaiters> {
 public:
  enum class Outcome : uint8_t { kVisible, kTooLate, kStopped };
  using Woken = std::move_only_function<void(Outcome)>;

  struct Limits {
    size_t waiters_max = 0;
    uint64_t left_bytes = 0;  // of the budget: they are not for those who wait
  };
  // `executor`, `clock` and `budget` outlive it; the budget may be null.
  EpochWaiters(env::Executor& executor, env::Clock& clock, base::MemoryBudget* budget,
               Limits limits)
      : executor_(executor), clock_(clock), budget_(budget), limits_(limits) {}

  // `woken` runs once, on the executor (or in Stop). A deadline of milliseconds::max() is none. The
  // bytes that `woken` holds are charged until it has run. Nothing: it wakes a thread that waits
  // for it; those are bounded as calls, and are neither charged nor counted here. Errors:
  // kResourceExhausted (waiters_max wait already, the budget has no room); `woken` is dropped then.
  base::Result<void> Wait(base::EpochId epoch, std::chrono::milliseconds deadline,
                          std::optional<uint64_t> held_bytes, Woken woken);
  // Cheap when nobody waits.
  void MarkVisible(base::EpochId epoch);
  // Wakes all with kStopped, and later ones at once. When it returns none is running.
  void Stop();

 private:
  using Key = std::pair<base::EpochId, uint64_t>;
  struct Waiter {
    base::MemoryCharge charge;
    Woken woken;
    std::optional<env::MonotonicTime> until;
  };
  base::Result<base::MemoryCharge> Charge(uint64_t bytes);
  void Wake(const Key& key, Outcome outcome);
  void Run(Waiter waiter, Outcome outcome);
  void SetTimer(env::MonotonicTime at);  // mutex_ is held
  void OnTimer(env::MonotonicTime at);

  env::Executor& executor_;
  env::Clock& clock_;
  base::MemoryBudget* const budget_;
  const Limits limits_;
  std::atomic<uint64_t> visible_{0};
  std::atomic<size_t> waiting_{0};
  std::mutex mutex_;                                        // guards the next four
  std::map<Key, Waiter> waiters_;                           // by epoch
  std::set<std::pair<env::MonotonicTime, Key>> deadlines_;  // of waiters_
  std::set<env::MonotonicTime> timers_;  // that were posted: each earlier than those before it
  uint64_t next_ = 0;
  std::mutex running_;  // held while a woken request is answered
  std::atomic<bool> stopped_{false};
};

}  // namespace headrace::serving
