#pragma once
// Where the events of a request are typed: small ones where they were read, larger ones on an
// executor of their own, so that typing them does not hold up the lookups of the same I/O thread.

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

#include "env/executor.h"

namespace headrace::ingest {

// Thread-safe. The executor outlives it.
class TypingQueue {
 public:
  // So many bytes are typed at once, in about 10 us; waking another thread costs more.
  static constexpr size_t kTypedAtOnceBytes = 2048;

  explicit TypingQueue(env::Executor& events) : events_(events) {}

  // Whether so many bytes may be typed at once: a small request does not overtake a large one of
  // the same thread that still waits.
  bool AtOnce(size_t bytes) const {
    return bytes <= kTypedAtOnceBytes && waiting_->load(std::memory_order_acquire) == 0;
  }
  // For those that may not.
  void Post(env::Task task) {
    waiting_->fetch_add(1, std::memory_order_relaxed);
    events_.Post([waiting = waiting_, task = std::move(task)]() mutable {
      task();
      waiting->fetch_sub(1, std::memory_order_release);
    });
  }

 private:
  env::Executor& events_;
  // Posted and not yet done. Shared with the tasks, which may outlive this.
  std::shared_ptr<std::atomic<size_t>> waiting_ = std::make_shared<std::atomic<size_t>>(0);
};

}  // namespace headrace::ingest
