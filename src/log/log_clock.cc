#include "log/log_clock.h"

#include <algorithm>

#include "base/log.h"

namespace headrace::log {

LogClock::LogClock(base::Timestamp floor, env::MonotonicTime now, base::Timestamp wall)
    : value_(std::max(floor, wall)), read_at_(now) {
  if (value_ - wall > kStep) ReportStep(wall - value_);
}

base::Timestamp LogClock::Read(env::MonotonicTime now, base::Timestamp wall) {
  // Whole microseconds only; the rest stays for the next reading, here and of the slew.
  const auto elapsed =
      std::max(std::chrono::duration_cast<base::Duration>(now - read_at_), base::Duration::zero());
  read_at_ += elapsed;
  value_ = value_ + elapsed;
  const base::Duration behind = wall - value_;
  steps_.behind_wall = behind;
  if (behind > kStep || behind < -kStep) {
    if (!step_reported_) ReportStep(behind);
    return value_;
  }
  step_reported_ = false;
  slew_left_ += std::chrono::nanoseconds(elapsed) / kSlewDivisor;
  const auto slew = std::chrono::duration_cast<base::Duration>(slew_left_);
  slew_left_ -= slew;
  value_ = value_ + std::clamp(behind, -slew, slew);
  return value_;
}

void LogClock::ReportStep(base::Duration behind_wall) {
  step_reported_ = true;
  ++steps_.steps;
  steps_.last = behind_wall;
  steps_.last_at = value_;
  steps_.behind_wall = behind_wall;
  base::LogWarning("log.clock_step", {{"behind_wall", base::FormatDuration(behind_wall)},
                                      {"log_clock", base::FormatTimestamp(value_)}});
}

}  // namespace headrace::log
