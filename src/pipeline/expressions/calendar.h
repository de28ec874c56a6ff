#pragma once
// Fields of a point in time, as microseconds since 1970-01-01 in UTC or on a wall clock without a
// zone; the arithmetic is the same. Proleptic Gregorian.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace headrace::pipeline {

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kMinuteUs = 60 * kSecondUs;
constexpr int64_t kHourUs = 60 * kMinuteUs;
constexpr int64_t kDayUs = 24 * kHourUs;

// Towards the past, before 1970 as well.
constexpr int64_t FloorDivide(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }
constexpr int64_t DayOf(int64_t us) { return FloorDivide(us, kDayUs); }
constexpr int64_t InDay(int64_t us) { return us - DayOf(us) * kDayUs; }

inline base::CivilDate DateOf(int64_t us) { return base::CivilFromDays(DayOf(us)); }
unsigned DaysInMonth(int year, unsigned month);
// 1 is Monday, 7 is Sunday.
int64_t IsoWeekday(int64_t us);
// 1 is January 1st.
int64_t DayOfYear(int64_t us);
// Weeks begin on Mondays; the first has the year's first Thursday.
int64_t IsoYear(int64_t us);
int64_t IsoWeek(int64_t us);

// A part that date_part and EXTRACT give as int64.
using PartFunction = int64_t (*)(int64_t us);
// Null for an unknown name; `epoch` is none of them, as it is a float64.
PartFunction PartNamed(std::string_view unit);
std::vector<std::string> PartNames();

// What date_trunc, date_add and date_diff count in: so many months, or so many microseconds.
struct CalendarUnit {
  int64_t months = 0;
  int64_t us = 0;
};
std::optional<CalendarUnit> UnitNamed(std::string_view unit);
std::vector<std::string> UnitNames();

// The start of the unit that `us` is in; weeks begin on Mondays. False when it can't be held.
bool TruncateTo(CalendarUnit unit, int64_t us, int64_t* out);
// `n` units later; months end on their last day if the day does not exist. False on overflow.
bool AddUnits(CalendarUnit unit, int64_t n, int64_t us, int64_t* out);
// How many starts of the unit lie between: in (from, to], or as a negative number in (to, from].
int64_t BoundariesBetween(CalendarUnit unit, int64_t from, int64_t to);

}  // namespace headrace::pipeline
