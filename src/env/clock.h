#pragma once
// The two clocks of the outside world. Results never depend on either; the log clock is made of
// them once, and recorded.

#include <chrono>

#include "base/time.h"

namespace headrace::env {

// Nanoseconds since an arbitrary start that never go back: for latencies, timers, deadlines.
using MonotonicTime = std::chrono::nanoseconds;

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonotonicTime Now() const = 0;
  // What the machine believes the time is; may step.
  virtual base::Timestamp Wall() const = 0;
};

}  // namespace headrace::env
