#pragma once
// When the next rows may be sent, and when a broken connection is tried again.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>

namespace headrace::app {

using SteadyTime = std::chrono::steady_clock::time_point;

// Rows a second, evenly: row n is due n / rate after the start. Rows that are late are sent at
// once, none is left out.
class Pace {
 public:
  // 0: as fast as it goes.
  Pace(double rows_per_s, SteadyTime start) : rows_per_s_(rows_per_s), start_(start) {}
  bool unlimited() const { return rows_per_s_ <= 0; }
  SteadyTime DueTime(uint64_t rows_before) const {
    if (unlimited()) return start_;
    const std::chrono::duration<double> after(static_cast<double>(rows_before) / rows_per_s_);
    return start_ + std::chrono::duration_cast<std::chrono::steady_clock::duration>(after);
  }

 private:
  double rows_per_s_;
  SteadyTime start_;
};

// Batches small enough that 200 of them make a second: a paced row waits at most 5 ms for the rest
// of its batch.
inline uint64_t BatchRows(uint64_t batch_rows, double rows_per_s) {
  if (rows_per_s <= 0) return batch_rows;
  const auto even = static_cast<uint64_t>(std::llround(rows_per_s / 200));
  return std::clamp<uint64_t>(even, 1, batch_rows);
}

// Waits between attempts: 50 ms, doubling up to 1 s, until `retry_for` has passed without any
// progress.
class Backoff {
 public:
  explicit Backoff(std::chrono::microseconds retry_for) : retry_for_(retry_for) {}
  // Something was acknowledged: the time counts anew from the next failure.
  void Progressed() {
    wait_ = kFirst;
    failing_ = false;
  }
  // After a failure at `now`: how long to wait; zero when it is time to give up.
  std::chrono::milliseconds Failed(SteadyTime now) {
    if (!failing_) since_ = now;
    failing_ = true;
    if (now - since_ >= retry_for_) return std::chrono::milliseconds(0);
    const auto wait = wait_;
    wait_ = std::min(wait_ * 2, kLast);
    return wait;
  }

 private:
  static constexpr std::chrono::milliseconds kFirst{50};
  static constexpr std::chrono::milliseconds kLast{1000};
  std::chrono::microseconds retry_for_;
  std::chrono::milliseconds wait_ = kFirst;
  SteadyTime since_;
  bool failing_ = false;
};

}  // namespace headrace::app
