#pragma once
// How often a line that anybody who reaches a port can cause goes to the log.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

#include "env/clock.h"

namespace headrace::protocols {

// Thread-safe.
class NoticePace {
 public:
  static constexpr std::chrono::seconds kEvery{60};

  // A number when the line may be written now: of those that were left out since the last one.
  std::optional<uint64_t> Begin(env::MonotonicTime now) {
    int64_t next = next_ns_.load(std::memory_order_relaxed);
    const int64_t after = (now + kEvery).count();
    if (now.count() < next ||
        !next_ns_.compare_exchange_strong(next, after, std::memory_order_relaxed)) {
      left_out_.fetch_add(1, std::memory_order_relaxed);
      return std::nullopt;
    }
    return left_out_.exchange(0, std::memory_order_relaxed);
  }

 private:
  std::atomic<int64_t> next_ns_{0};
  std::atomic<uint64_t> left_out_{0};
};

}  // namespace headrace::protocols
