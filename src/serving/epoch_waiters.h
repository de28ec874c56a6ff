#pragma once
// Requests that wait until an epoch is visible, or until their deadline.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "base/ids.h"
#include "env/clock.h"
#include "env/executor.h"

namespace headrace::serving {

// Thread-safe. Shared because deadlines that lie ahead may outlive its owner.
class EpochWaiters : public std::enable_shared_from_this<EpochWaiters> {
 public:
  enum class Outcome : uint8_t { kVisible, kTooLate, kStopped };
  using Woken = std::move_only_function<void(Outcome)>;

  // `executor` and `clock` outlive it.
  EpochWaiters(env::Executor& executor, env::Clock& clock, size_t waiters_max)
      : executor_(executor), clock_(clock), waiters_max_(waiters_max) {}

  // `woken` runs once, on the executor (or in Stop). A deadline of milliseconds::max() is none.
  // False when waiters_max wait already; `woken` is dropped then.
  bool Wait(base::EpochId epoch, std::chrono::milliseconds deadline, Woken woken);
  // Cheap when nobody waits.
  void MarkVisible(base::EpochId epoch);
  // Wakes all with kStopped, and later ones at once. When it returns none is running.
  void Stop();

 private:
  using Key = std::pair<base::EpochId, uint64_t>;
  void Wake(const Key& key, Outcome outcome);
  void Run(Woken& woken, Outcome outcome);

  env::Executor& executor_;
  env::Clock& clock_;
  const size_t waiters_max_;
  std::atomic<uint64_t> visible_{0};
  std::atomic<size_t> waiting_{0};
  std::mutex mutex_;              // guards the next two
  std::map<Key, Woken> waiters_;  // by epoch
  uint64_t next_ = 0;
  std::mutex running_;  // held while a woken request is answered
  std::atomic<bool> stopped_{false};
};

}  // namespace headrace::serving
