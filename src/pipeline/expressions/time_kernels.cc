// Parts of a time: microseconds since 1970-01-01 in UTC, or of a wall clock without a zone; the
// arithmetic is the same.
#include "base/time.h"
#include "pipeline/expressions/kernels.h"

namespace headrace::pipeline {
namespace {

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kMinuteUs = 60 * kSecondUs;
constexpr int64_t kHourUs = 60 * kMinuteUs;
constexpr int64_t kDayUs = 24 * kHourUs;

// Towards the past, before 1970 as well.
int64_t FloorDivide(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }
int64_t DayOf(int64_t us) { return FloorDivide(us, kDayUs); }
int64_t InDay(int64_t us) { return us - DayOf(us) * kDayUs; }

struct Year {
  static int64_t Do(int64_t us) { return base::CivilFromDays(DayOf(us)).year; }
};
struct Month {
  static int64_t Do(int64_t us) { return base::CivilFromDays(DayOf(us)).month; }
};
struct Day {
  static int64_t Do(int64_t us) { return base::CivilFromDays(DayOf(us)).day; }
};
struct Hour {
  static int64_t Do(int64_t us) { return InDay(us) / kHourUs; }
};
struct Minute {
  static int64_t Do(int64_t us) { return InDay(us) % kHourUs / kMinuteUs; }
};
struct Second {
  static int64_t Do(int64_t us) { return InDay(us) % kMinuteUs / kSecondUs; }
};
// 1970-01-01 was a Thursday: 1 is Monday, 7 is Sunday.
struct DayOfWeek {
  static int64_t Do(int64_t us) {
    const int64_t days = DayOf(us) + 3;
    return days - FloorDivide(days, 7) * 7 + 1;
  }
};

// The start of the unit; before the first representable instant there is none.
template <int64_t kUnit>
struct TruncateTo {
  static bool Do(int64_t us, int64_t* out) {
    return !__builtin_mul_overflow(FloorDivide(us, kUnit), kUnit, out);
  }
};
struct TruncateToWeek {
  static bool Do(int64_t us, int64_t* out) {
    const int64_t day = DayOf(us) - (DayOfWeek::Do(us) - 1);
    return !__builtin_mul_overflow(day, kDayUs, out);
  }
};
struct TruncateToMonth {
  static bool Do(int64_t us, int64_t* out) {
    const base::CivilDate date = base::CivilFromDays(DayOf(us));
    return !__builtin_mul_overflow(base::DaysFromCivil(date.year, date.month, 1), kDayUs, out);
  }
};
struct TruncateToYear {
  static bool Do(int64_t us, int64_t* out) {
    const base::CivilDate date = base::CivilFromDays(DayOf(us));
    return !__builtin_mul_overflow(base::DaysFromCivil(date.year, 1, 1), kDayUs, out);
  }
};

}  // namespace

Kernel TimeKernel(std::string_view function) {
  if (function == "year") return &Total1<Year, int64_t, int64_t>;
  if (function == "month") return &Total1<Month, int64_t, int64_t>;
  if (function == "day") return &Total1<Day, int64_t, int64_t>;
  if (function == "hour") return &Total1<Hour, int64_t, int64_t>;
  if (function == "minute") return &Total1<Minute, int64_t, int64_t>;
  if (function == "second") return &Total1<Second, int64_t, int64_t>;
  if (function == "day_of_week") return &Total1<DayOfWeek, int64_t, int64_t>;
  if (function == "truncate second") return &Partial1<TruncateTo<kSecondUs>, int64_t, int64_t>;
  if (function == "truncate minute") return &Partial1<TruncateTo<kMinuteUs>, int64_t, int64_t>;
  if (function == "truncate hour") return &Partial1<TruncateTo<kHourUs>, int64_t, int64_t>;
  if (function == "truncate day") return &Partial1<TruncateTo<kDayUs>, int64_t, int64_t>;
  if (function == "truncate week") return &Partial1<TruncateToWeek, int64_t, int64_t>;
  if (function == "truncate month") return &Partial1<TruncateToMonth, int64_t, int64_t>;
  if (function == "truncate year") return &Partial1<TruncateToYear, int64_t, int64_t>;
  return nullptr;
}

}  // namespace headrace::pipeline
