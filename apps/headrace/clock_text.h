#pragma once
// A clock of the events before the first event: there is no now yet. Over HTTP, where a clock is a
// time in any case, it is the earliest time that there is.

#include <string>
#include <string_view>

#include "base/time.h"

namespace headrace::app {

inline bool IsNoClock(std::string_view time) {
  static const std::string kNone = base::FormatTimestamp(base::Timestamp::Min());
  return time == kNone;
}

// A clock for people: "-" while there is none.
inline std::string ClockText(const std::string& time) { return IsNoClock(time) ? "-" : time; }

}  // namespace headrace::app
