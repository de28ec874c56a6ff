#pragma once
// The only "now" of the engine's results under `clock: wall`: it runs on the monotonic clock and
// leans towards wall time. It never goes back, restarts included. A step of the wall clock is
// reported once and not followed.

#include "base/time.h"
#include "env/clock.h"

namespace headrace::log {

// What a log clock saw of the wall clock.
struct ClockSteps {
  uint64_t steps = 0;                                // since the start
  base::Duration last{0};                            // wall less log clock, at the newest step
  base::Timestamp last_at = base::Timestamp::Min();  // on the log clock
  base::Duration behind_wall{0};                     // now; beyond kStep it is not made good
};

// Not thread-safe. (Under `clock: events` the largest event time is the clock: TimeGate.)
class LogClock {
 public:
  // More than this between log clock and wall is a step, not drift.
  static constexpr base::Duration kStep = std::chrono::seconds(10);
  // Drift is made good at one part in a thousand.
  static constexpr int64_t kSlewDivisor = 1000;

  // `floor`: the clock of the last epoch; Min() for a new log.
  LogClock(base::Timestamp floor, env::MonotonicTime now, base::Timestamp wall);

  base::Timestamp Read(env::MonotonicTime now, base::Timestamp wall);
  // As of the last reading.
  const ClockSteps& steps() const { return steps_; }

 private:
  void ReportStep(base::Duration behind_wall);

  base::Timestamp value_;
  env::MonotonicTime read_at_;
  env::MonotonicTime slew_left_{0};  // less than a microsecond
  bool step_reported_ = false;
  ClockSteps steps_;
};

}  // namespace headrace::log
