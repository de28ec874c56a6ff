#pragma once
// Points in time as microseconds since 1970-01-01T00:00:00Z, and spans of time as people write
// them.

#include <chrono>
#include <compare>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "base/result.h"

namespace headrace::base {

using Duration = std::chrono::microseconds;

// Event time or log clock: microseconds since the epoch of Unix, UTC.
struct Timestamp {
  int64_t us = 0;
  auto operator<=>(const Timestamp&) const = default;
  // Both stay at the ends of the range instead of wrapping.
  constexpr Timestamp operator+(Duration d) const {
    int64_t sum = 0;
    if (__builtin_add_overflow(us, d.count(), &sum)) return d.count() > 0 ? Max() : Min();
    return {sum};
  }
  constexpr Timestamp operator-(Duration d) const {
    int64_t difference = 0;
    if (__builtin_sub_overflow(us, d.count(), &difference)) return d.count() > 0 ? Min() : Max();
    return {difference};
  }
  Duration operator-(Timestamp other) const { return Duration(us - other.us); }
  static constexpr Timestamp Min() { return {std::numeric_limits<int64_t>::min()}; }
  static constexpr Timestamp Max() { return {std::numeric_limits<int64_t>::max()}; }
};

// Parses "90s", "10m", "1h", "7d", "2w", "250ms", "15us"; also sums such as "1h30m".
// Errors: kInvalidInput, with the units there are.
Result<Duration> ParseDuration(std::string_view text);

// In the largest units that it is exact in: "7d", "1h30m", "1m30s"; of less than a minute one
// number: "250ms". ParseDuration reads it back, unless it is negative: "-5s".
std::string FormatDuration(Duration d);

// Parses RFC 3339 ("2001-01-01T00:01:00Z", any offset, up to 6 fraction digits used; further digits
// are refused unless 0), also a blank for the T and a bare date. A time without an offset is read
// as UTC.
Result<Timestamp> ParseTimestamp(std::string_view text);

// RFC 3339 in UTC with 0, 3 or 6 fraction digits as needed.
std::string FormatTimestamp(Timestamp t);

// Days since 1970-01-01 of a proleptic Gregorian date, and back.
int64_t DaysFromCivil(int year, unsigned month, unsigned day);
struct CivilDate {
  int year;
  unsigned month;
  unsigned day;
};
CivilDate CivilFromDays(int64_t days);

}  // namespace headrace::base
