#include "pipeline/expressions/calendar.h"

#include <algorithm>
#include <array>

namespace headrace::pipeline {
namespace {

using base::CivilDate;
using base::DaysFromCivil;

int64_t Year(int64_t us) { return DateOf(us).year; }
int64_t Month(int64_t us) { return DateOf(us).month; }
int64_t Day(int64_t us) { return DateOf(us).day; }
int64_t Quarter(int64_t us) { return (DateOf(us).month - 1) / 3 + 1; }
int64_t Hour(int64_t us) { return InDay(us) / kHourUs; }
int64_t Minute(int64_t us) { return InDay(us) % kHourUs / kMinuteUs; }
int64_t Second(int64_t us) { return InDay(us) % kMinuteUs / kSecondUs; }
int64_t Millisecond(int64_t us) { return InDay(us) % kMinuteUs / 1000; }
int64_t Microsecond(int64_t us) { return InDay(us) % kMinuteUs; }
int64_t Decade(int64_t us) { return Year(us) / 10; }
int64_t Century(int64_t us) {
  const int64_t year = Year(us);
  return year > 0 ? (year - 1) / 100 + 1 : year / 100 - 1;
}
int64_t Millennium(int64_t us) {
  const int64_t year = Year(us);
  return year > 0 ? (year - 1) / 1000 + 1 : year / 1000 - 1;
}
int64_t SundayBased(int64_t us) { return IsoWeekday(us) % 7; }

constexpr std::array<std::pair<std::string_view, PartFunction>, 19> kParts = {{
    {"year", &Year},
    {"month", &Month},
    {"day", &Day},
    {"hour", &Hour},
    {"minute", &Minute},
    {"second", &Second},
    {"millisecond", &Millisecond},
    {"microsecond", &Microsecond},
    {"quarter", &Quarter},
    {"week", &IsoWeek},
    {"isoyear", &IsoYear},
    {"dow", &SundayBased},
    {"dayofweek", &SundayBased},
    {"isodow", &IsoWeekday},
    {"doy", &DayOfYear},
    {"dayofyear", &DayOfYear},
    {"decade", &Decade},
    {"century", &Century},
    {"millennium", &Millennium},
}};

constexpr std::array<std::pair<std::string_view, CalendarUnit>, 12> kUnits = {{
    {"microsecond", {0, 1}},
    {"millisecond", {0, 1000}},
    {"second", {0, kSecondUs}},
    {"minute", {0, kMinuteUs}},
    {"hour", {0, kHourUs}},
    {"day", {0, kDayUs}},
    {"week", {0, 7 * kDayUs}},
    {"month", {1, 0}},
    {"quarter", {3, 0}},
    {"year", {12, 0}},
    {"decade", {120, 0}},
    {"century", {1200, 0}},
}};

// "days" as "day".
std::string_view Singular(std::string_view unit) {
  if (unit == "centuries") return "century";
  return unit.size() > 1 && unit.ends_with('s') ? unit.substr(0, unit.size() - 1) : unit;
}

// Months since the year 0.
int64_t MonthOf(int64_t us) {
  const CivilDate date = DateOf(us);
  return int64_t{date.year} * 12 + date.month - 1;
}

// 1970-01-05 was a Monday: where weeks are counted from.
constexpr int64_t kMondayUs = 4 * kDayUs;

int64_t UnitOf(CalendarUnit unit, int64_t us) {
  if (unit.months != 0) return FloorDivide(MonthOf(us), unit.months);
  if (unit.us != 7 * kDayUs) return FloorDivide(us, unit.us);
  return FloorDivide(DayOf(us) - 4, 7);
}

}  // namespace

unsigned DaysInMonth(int year, unsigned month) {
  const int64_t next =
      month == 12 ? DaysFromCivil(year + 1, 1, 1) : DaysFromCivil(year, month + 1, 1);
  return static_cast<unsigned>(next - DaysFromCivil(year, month, 1));
}

int64_t IsoWeekday(int64_t us) {
  const int64_t days = DayOf(us) + 3;
  return days - FloorDivide(days, 7) * 7 + 1;
}

int64_t DayOfYear(int64_t us) { return DayOf(us) - DaysFromCivil(DateOf(us).year, 1, 1) + 1; }

int64_t IsoYear(int64_t us) {
  return base::CivilFromDays(DayOf(us) + 4 - IsoWeekday(us)).year;  // that of its Thursday
}

int64_t IsoWeek(int64_t us) {
  const int64_t thursday = DayOf(us) + 4 - IsoWeekday(us);
  return (thursday - DaysFromCivil(base::CivilFromDays(thursday).year, 1, 1)) / 7 + 1;
}

PartFunction PartNamed(std::string_view unit) {
  for (const std::string_view name : {unit, Singular(unit)})
    for (const auto& [known, function] : kParts)
      if (known == name) return function;
  return nullptr;
}

std::vector<std::string> PartNames() {
  std::vector<std::string> names = {"epoch"};
  for (const auto& [name, function] : kParts) names.emplace_back(name);
  return names;
}

std::optional<CalendarUnit> UnitNamed(std::string_view unit) {
  for (const auto& [known, value] : kUnits)
    if (known == unit || known == Singular(unit)) return value;
  return std::nullopt;
}

std::vector<std::string> UnitNames() {
  std::vector<std::string> names;
  for (const auto& [name, value] : kUnits) names.emplace_back(name);
  return names;
}

bool TruncateTo(CalendarUnit unit, int64_t us, int64_t* out) {
  const int64_t index = UnitOf(unit, us);
  if (unit.months != 0) {
    const int64_t month = index * unit.months;
    const int64_t year = FloorDivide(month, 12);
    const int64_t day =
        DaysFromCivil(static_cast<int>(year), static_cast<unsigned>(month - year * 12) + 1, 1);
    return !__builtin_mul_overflow(day, kDayUs, out);
  }
  if (unit.us == 7 * kDayUs)
    return !__builtin_mul_overflow(index * 7 + kMondayUs / kDayUs, kDayUs, out);
  return !__builtin_mul_overflow(index, unit.us, out);
}

bool AddUnits(CalendarUnit unit, int64_t n, int64_t us, int64_t* out) {
  *out = 0;
  if (unit.months == 0) {
    int64_t span = 0;
    return !__builtin_mul_overflow(n, unit.us, &span) && !__builtin_add_overflow(us, span, out);
  }
  constexpr int64_t kMonthsMax = 12 * 600'000;  // more than a timestamp can hold
  int64_t months = 0;
  if (__builtin_mul_overflow(n, unit.months, &months) || months > kMonthsMax ||
      months < -kMonthsMax)
    return false;
  const int64_t month = MonthOf(us) + months;
  const auto year = static_cast<int>(FloorDivide(month, 12));
  const auto in_year = static_cast<unsigned>(month - int64_t{year} * 12) + 1;
  const unsigned day = std::min(DateOf(us).day, DaysInMonth(year, in_year));
  return !__builtin_mul_overflow(DaysFromCivil(year, in_year, day), kDayUs, out) &&
         !__builtin_add_overflow(*out, InDay(us), out);
}

int64_t BoundariesBetween(CalendarUnit unit, int64_t from, int64_t to) {
  return static_cast<int64_t>(static_cast<uint64_t>(UnitOf(unit, to)) -
                              static_cast<uint64_t>(UnitOf(unit, from)));
}

}  // namespace headrace::pipeline
