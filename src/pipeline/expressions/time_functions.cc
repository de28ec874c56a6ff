// Functions of dates and timestamps. A timestamp is read in UTC, a timestamp_ntz as its clock shows
// it; `AT TIME ZONE` goes from one to the other.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "base/zones/time_zone.h"
#include "pipeline/expressions/binding.h"
#include "pipeline/expressions/calendar.h"
#include "pipeline/expressions/lexer.h"
#include "pipeline/expressions/time_format.h"

namespace headrace::pipeline {
namespace {

using columns::Type;
using Text = std::string_view;

// Argument `argument` as a timestamp; a date counts as its midnight.
Bound MomentOf(Binder& binder, const Call& call, size_t argument) {
  const ValueType type = binder.step(call.arguments[argument]).type;
  const ValueType wanted = IsInstant(type) ? ValueType{type.type} : kTimestampType;
  return binder.Convert(*call.syntax.children[argument], call.arguments[argument], wanted);
}

struct Part : StepData {
  explicit Part(PartFunction function) : of(function) {}
  PartFunction of;
};
void PartKernel(const Step& step, Frame& frame) {
  const PartFunction of = static_cast<const Part&>(*step.data).of;
  const auto a = frame.In<int64_t>(step.arguments[0]);
  int64_t* out = frame.Out<int64_t>(step.self);
  for (size_t row = 0; row < frame.rows(); ++row) out[row] = of(a[row]);
  frame.JoinNulls(step);
}

bool IsOfClock(Text unit) {
  for (const Text known : {"hour", "minute", "second", "millisecond", "microsecond"})
    if (unit == known || (unit.ends_with('s') && unit.substr(0, unit.size() - 1) == known))
      return true;
  return false;
}

Bound EmitPart(Binder& binder, const Call& call, size_t argument, Text unit, PartFunction of) {
  if (IsOfClock(unit) && IsDate(binder.step(call.arguments[argument]).type))
    return Binder::Fail(call.syntax, fmt::format("a date has no {}", unit));
  HR_TRY(const uint32_t time, MomentOf(binder, call, argument));
  return binder.Emit(call.syntax, &PartKernel, kIntType, {time}, std::make_shared<Part>(of));
}
Bound BindPartOfName(Binder& binder, const Call& call) {
  const Text unit = call.function == "day_of_week"   ? "isodow"
                    : call.function == "day_of_year" ? "doy"
                                                     : call.function;
  return EmitPart(binder, call, 0, unit, PartNamed(unit));
}

struct EpochSeconds {
  static double Do(int64_t us) { return static_cast<double>(us) / 1e6; }
};
Bound BindEpoch(Binder& binder, const Call& call) {
  HR_TRY(const uint32_t time, MomentOf(binder, call, call.arguments.size() - 1));
  return binder.Emit(call.syntax, &Total1<EpochSeconds, int64_t, double>, kFloatType, {time});
}

std::expected<std::string, ExpressionError> UnitText(Binder& binder, const Call& call) {
  HR_TRY(const std::string unit, ConstantText(binder, call, 0, "the unit"));
  return LowerAscii(unit);
}

Bound BindDatePart(Binder& binder, const Call& call) {
  HR_TRY(const std::string unit, UnitText(binder, call));
  if (unit == "epoch") return BindEpoch(binder, call);
  const PartFunction of = PartNamed(unit);
  if (of == nullptr)
    return FailWithCandidates(
        *call.syntax.children[0],
        fmt::format("no part '{}'; the parts are {}", unit, fmt::join(PartNames(), ", ")), unit,
        PartNames());
  return EmitPart(binder, call, 1, unit, of);
}

struct UnitData : StepData {
  explicit UnitData(CalendarUnit given) : unit(given) {}
  CalendarUnit unit;
};
std::expected<std::shared_ptr<const UnitData>, ExpressionError> UnitArgument(Binder& binder,
                                                                             const Call& call) {
  HR_TRY(const std::string name, UnitText(binder, call));
  const auto unit = UnitNamed(name);
  if (!unit)
    return FailWithCandidates(
        *call.syntax.children[0],
        fmt::format("no unit '{}'; the units are {}", name, fmt::join(UnitNames(), ", ")), name,
        UnitNames());
  return std::make_shared<const UnitData>(*unit);
}

struct Truncate {
  static uint8_t Do(const RowContext& context, int64_t us, int64_t* out) {
    return TruncateTo(context.data<UnitData>().unit, us, out) ? kIsPresent : kIsError;
  }
};
Bound BindDateTrunc(Binder& binder, const Call& call) {
  HR_TRY(auto unit, UnitArgument(binder, call));
  HR_TRY(const uint32_t time, MomentOf(binder, call, 1));
  return binder.Emit(call.syntax, &Map<Truncate, int64_t, int64_t>, binder.step(time).type, {time},
                     std::move(unit));
}

struct Add {
  static uint8_t Do(const RowContext& context, int64_t n, int64_t us, int64_t* out) {
    return AddUnits(context.data<UnitData>().unit, n, us, out) ? kIsPresent : kIsError;
  }
};
// A date stays one if whole days are added.
Bound BindDateAdd(Binder& binder, const Call& call) {
  HR_TRY(auto unit, UnitArgument(binder, call));
  HR_TRY(const uint32_t n, binder.Convert(*call.syntax.children[1], call.arguments[1], kIntType));
  HR_TRY(const uint32_t time, MomentOf(binder, call, 2));
  const bool whole = unit->unit.months != 0 || unit->unit.us % kDayUs == 0;
  const bool date = IsDate(binder.step(call.arguments[2]).type) && whole;
  HR_TRY(const uint32_t sum, binder.Emit(call.syntax, &Map<Add, int64_t, int64_t, int64_t>,
                                         binder.step(time).type, {n, time}, std::move(unit)));
  if (!date) return sum;
  return binder.Emit(call.syntax, ConversionKernel(Type::kTimestamp, Type::kDate), kDateType,
                     {sum});
}

struct Difference {
  static uint8_t Do(const RowContext& context, int64_t from, int64_t to, int64_t* out) {
    *out = BoundariesBetween(context.data<UnitData>().unit, from, to);
    return kIsPresent;
  }
};
Bound BindDateDiff(Binder& binder, const Call& call) {
  HR_TRY(auto unit, UnitArgument(binder, call));
  HR_TRY(const uint32_t from, MomentOf(binder, call, 1));
  HR_TRY(const uint32_t to, MomentOf(binder, call, 2));
  if (binder.step(from).type != binder.step(to).type)
    return Binder::Fail(call.syntax,
                        "timestamp and timestamp_ntz do not go together; one of them needs AT TIME "
                        "ZONE");
  return binder.Emit(call.syntax, &Map<Difference, int64_t, int64_t, int64_t>, kIntType, {from, to},
                     std::move(unit));
}

struct LastDay {
  static int64_t Do(int64_t us) {
    const base::CivilDate date = DateOf(us);
    return base::DaysFromCivil(date.year, date.month, DaysInMonth(date.year, date.month));
  }
};
Bound BindLastDay(Binder& binder, const Call& call) {
  HR_TRY(const uint32_t time, MomentOf(binder, call, 0));
  return binder.Emit(call.syntax, &Total1<LastDay, int64_t, int64_t>, kDateType, {time});
}

bool IsDateOf(int64_t year, int64_t month, int64_t day, int64_t* days) {
  constexpr int64_t kYearMax = 290'000;  // what a timestamp can hold
  *days = 0;
  if (year < -kYearMax || year > kYearMax || month < 1 || month > 12 || day < 1) return false;
  const auto y = static_cast<int>(year);
  const auto m = static_cast<unsigned>(month);
  if (day > DaysInMonth(y, m)) return false;
  *days = base::DaysFromCivil(y, m, static_cast<unsigned>(day));
  return true;
}
struct MakeDate {
  static uint8_t Do(const RowContext&, int64_t y, int64_t m, int64_t d, int64_t* out) {
    return IsDateOf(y, m, d, out) ? kIsPresent : kIsError;
  }
};
Bound BindMakeDate(Binder& binder, const Call& call) {
  return BindTo(binder, call, &Map<MakeDate, int64_t, int64_t, int64_t, int64_t>, kDateType,
                {kIntType, kIntType, kIntType});
}
struct MakeTimestamp {
  static uint8_t Do(const RowContext&, int64_t y, int64_t mo, int64_t d, int64_t h, int64_t mi,
                    double s, int64_t* out) {
    if (!IsDateOf(y, mo, d, out)) return kIsError;
    if (h < 0 || h > 23 || mi < 0 || mi > 59 || !(s >= 0 && s < 60)) return kIsError;
    *out = *out * kDayUs + h * kHourUs + mi * kMinuteUs + static_cast<int64_t>(std::round(s * 1e6));
    return kIsPresent;
  }
};
Bound BindMakeTimestamp(Binder& binder, const Call& call) {
  if (call.arguments.size() == 1)
    return BindTo(binder, call, ConversionKernel(Type::kInt64, Type::kInt64), kTimestampType,
                  {kIntType});
  if (call.arguments.size() != 6)
    return Binder::Fail(call.syntax,
                        "write make_timestamp(year, month, day, hour, minute, second) or "
                        "make_timestamp(microseconds)");
  return BindTo(binder, call,
                &Map<MakeTimestamp, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, double>,
                kTimestampType, {kIntType, kIntType, kIntType, kIntType, kIntType, kFloatType});
}

template <int64_t kUnitUs>
struct InUnits {
  static int64_t Do(int64_t us) { return us / kUnitUs; }
};
template <int64_t kUnitUs>
struct OfUnits {
  static bool Do(int64_t n, int64_t* out) { return !__builtin_mul_overflow(n, kUnitUs, out); }
};
// Of a time the number, of a number the time.
template <int64_t kUnitUs>
Bound BindEpochIn(Binder& binder, const Call& call) {
  if (IsInt(binder.step(call.arguments[0]).type))
    return BindTo(binder, call, &Partial1<OfUnits<kUnitUs>, int64_t, int64_t>, kTimestampType,
                  {kIntType});
  HR_TRY(const uint32_t time, MomentOf(binder, call, 0));
  return binder.Emit(call.syntax, &Total1<InUnits<kUnitUs>, int64_t, int64_t>, kIntType, {time});
}
struct TimestampOfSeconds {
  static bool Do(double seconds, int64_t* out) {
    const double us = std::nearbyint(seconds * 1e6);
    const bool good = us >= -0x1p63 && us < 0x1p63;
    *out = good ? static_cast<int64_t>(us) : 0;
    return good;
  }
};
Bound BindToTimestamp(Binder& binder, const Call& call) {
  if (IsInt(binder.step(call.arguments[0]).type))
    return BindTo(binder, call, &Partial1<OfUnits<kSecondUs>, int64_t, int64_t>, kTimestampType,
                  {kIntType});
  return BindTo(binder, call, &Partial1<TimestampOfSeconds, double, int64_t>, kTimestampType,
                {kFloatType});
}

struct PrintTime {
  static uint8_t Do(const RowContext& context, int64_t us, Text* out) {
    return context.data<TimeFormat>().Print(us, context.frame, out);
  }
};
struct ParseTime {
  static uint8_t Do(const RowContext& context, Text text, int64_t* out) {
    return context.data<TimeFormat>().Parse(text, out) ? kIsPresent : kIsError;
  }
};
std::expected<std::shared_ptr<const TimeFormat>, ExpressionError> FormatArgument(
    Binder& binder, const Call& call, TimeFormat::Use use) {
  HR_TRY(const std::string text, ConstantText(binder, call, 1, "the format"));
  auto format = TimeFormat::Compile(text, use);
  if (!format) return Binder::Fail(*call.syntax.children[1], format.error());
  return *format;
}
Bound BindStrftime(Binder& binder, const Call& call) {
  HR_TRY(auto format, FormatArgument(binder, call, TimeFormat::Use::kPrint));
  HR_TRY(const uint32_t time, MomentOf(binder, call, 0));
  return binder.Emit(call.syntax, &Map<PrintTime, Text, int64_t>, kTextType, {time},
                     std::move(format));
}
Bound BindStrptime(Binder& binder, const Call& call) {
  HR_TRY(auto format, FormatArgument(binder, call, TimeFormat::Use::kParse));
  return BindTo(binder, call, &Map<ParseTime, int64_t, Text>, kTimestampType, {kTextType},
                std::move(format));
}

struct Zone : StepData {
  explicit Zone(const base::TimeZone* given) : zone(given) {}
  const base::TimeZone* zone;
};
// Rows of one batch mostly lie in one period, which is looked up once.
void ToWall(const Step& step, Frame& frame) {
  const base::TimeZone& zone = *static_cast<const Zone&>(*step.data).zone;
  const auto a = frame.In<int64_t>(step.arguments[0]);
  int64_t* out = frame.Out<int64_t>(step.self);
  uint8_t failed[kChunkRows];
  uint8_t any = 0;
  base::TimeZone::Period period;
  for (size_t row = 0; row < frame.rows(); ++row) {
    const int64_t seconds = FloorDivide(a[row], kSecondUs);
    if (!period.Holds(seconds)) period = zone.PeriodAt(seconds);
    any |= failed[row] = __builtin_add_overflow(a[row], period.offset * kSecondUs, out + row);
  }
  AddFailures(step, frame, failed, any);
}
void FromWall(const Step& step, Frame& frame) {
  constexpr int64_t kOffsetMax = 2 * 26 * 3600;
  const base::TimeZone& zone = *static_cast<const Zone&>(*step.data).zone;
  const auto a = frame.In<int64_t>(step.arguments[0]);
  int64_t* out = frame.Out<int64_t>(step.self);
  uint8_t failed[kChunkRows];
  uint8_t any = 0;
  base::TimeZone::Period period;
  for (size_t row = 0; row < frame.rows(); ++row) {
    const int64_t wall = FloorDivide(a[row], kSecondUs);
    const bool inside = wall > -(1LL << 50) && wall < (1LL << 50) &&
                        period.Holds(wall - kOffsetMax) && period.Holds(wall + kOffsetMax);
    const int64_t instant = inside ? wall - period.offset : zone.InstantOf(wall);
    if (!inside) period = zone.PeriodAt(instant);
    any |= failed[row] = __builtin_add_overflow(a[row], (instant - wall) * kSecondUs, out + row);
  }
  AddFailures(step, frame, failed, any);
}
Bound BindTimeZone(Binder& binder, const Call& call) {
  HR_TRY(const std::string name, ConstantText(binder, call, 0, "the time zone"));
  const base::TimeZone* zone = base::TimeZone::Named(name);
  if (zone == nullptr)
    return FailWithCandidates(
        *call.syntax.children[0],
        fmt::format("no time zone '{}' in tz database {}", name, base::TimeZone::Version()), name,
        base::TimeZone::Names());
  HR_TRY(const uint32_t time, MomentOf(binder, call, 1));
  const bool wall = binder.step(time).type == kTimestampNtzType;
  binder.NoteTimeZone();
  return binder.Emit(call.syntax, wall ? &FromWall : &ToWall,
                     wall ? kTimestampType : kTimestampNtzType, {time},
                     std::make_shared<Zone>(zone));
}

constexpr std::array kFunctions = {
    FunctionRow{"date_add", "date_add(unit, n, time)",
                "n units later: microsecond to century. A month that lacks the day ends on its "
                "last one. A date stays a date if days are added. (DuckDB's takes an INTERVAL.)",
                "date_add('month', 1, DATE '2001-01-31')", "\"2001-02-28\"", 3, 3, &BindDateAdd,
                "dateadd"},
    FunctionRow{"date_diff", "date_diff(unit, from, to)",
                "How many starts of the unit lie between; from 23:59 to 0:01 is 1 day.",
                "date_diff('day', TIMESTAMP '2001-01-01T23:59:00Z', TIMESTAMP "
                "'2001-01-02T00:01:00Z')",
                "1", 3, 3, &BindDateDiff, "datediff"},
    FunctionRow{"date_part", "date_part(part, time)",
                "As `extract(part FROM time)`: year, month, day, hour, minute, second, millisecond "
                "and microsecond (both with the seconds), quarter, week and isoyear (ISO 8601), "
                "dow (0 is Sunday), isodow (7 is Sunday), doy, decade, century, millennium; epoch "
                "as float64.",
                "date_part('week', DATE '2001-01-01')", "1", 2, 2, &BindDatePart, "datepart"},
    FunctionRow{"date_trunc", "date_trunc(unit, time)",
                "The start of the microsecond, millisecond, second, minute, hour, day, week "
                "(Monday), month, quarter, year, decade or century (which ends with 99).",
                "date_trunc('hour', TIMESTAMP '2001-01-01T10:20:30Z')", "\"2001-01-01T10:00:00Z\"",
                2, 2, &BindDateTrunc},
    FunctionRow{"day", "day(time)", "Day of the month.", "day(DATE '2001-02-03')", "3", 1, 1,
                &BindPartOfName},
    FunctionRow{"day_of_week", "day_of_week(time)", "1 is Monday, 7 is Sunday.",
                "day_of_week(DATE '2001-01-01')", "1", 1, 1, &BindPartOfName, "isodow"},
    FunctionRow{"day_of_year", "day_of_year(time)", "1 is January 1st.",
                "day_of_year(DATE '2001-12-31')", "365", 1, 1, &BindPartOfName, "dayofyear"},
    FunctionRow{"epoch", "epoch(time)", "Seconds since 1970-01-01T00:00:00Z, as float64.",
                "epoch(TIMESTAMP '1970-01-01T00:00:01.5Z')", "1.5", 1, 1, &BindEpoch},
    FunctionRow{"epoch_ms", "epoch_ms(time or number)",
                "Milliseconds since 1970, towards 0; of an integer the timestamp.",
                "epoch_ms(TIMESTAMP '1970-01-01T00:00:01.5Z')", "1500", 1, 1, &BindEpochIn<1000>},
    FunctionRow{"epoch_us", "epoch_us(time or number)",
                "Microseconds since 1970; of an integer the timestamp.", "epoch_us(1500000)",
                "\"1970-01-01T00:00:01.500Z\"", 1, 1, &BindEpochIn<1>},
    FunctionRow{"hour", "hour(timestamp)", "0 to 23, in UTC.",
                "hour(TIMESTAMP '2001-01-01T10:20:30Z')", "10", 1, 1, &BindPartOfName},
    FunctionRow{"last_day", "last_day(time)", "The last date of its month.",
                "last_day(DATE '2001-02-03')", "\"2001-02-28\"", 1, 1, &BindLastDay},
    FunctionRow{"make_date", "make_date(year, month, day)", "NULL when there is no such date.",
                "make_date(2001, 2, 3)", "\"2001-02-03\"", 3, 3, &BindMakeDate},
    FunctionRow{"make_timestamp", "make_timestamp(year, month, day, hour, minute, second)",
                "In UTC; NULL when there is no such moment. Of one integer: microseconds since "
                "1970.",
                "make_timestamp(2001, 2, 3, 4, 5, 6.5)", "\"2001-02-03T04:05:06.500Z\"", 1, 6,
                &BindMakeTimestamp},
    FunctionRow{"minute", "minute(timestamp)", "0 to 59.",
                "minute(TIMESTAMP '2001-01-01T10:20:30Z')", "20", 1, 1, &BindPartOfName},
    FunctionRow{"month", "month(time)", "1 to 12.", "month(DATE '2001-02-03')", "2", 1, 1,
                &BindPartOfName},
    FunctionRow{"quarter", "quarter(time)", "1 to 4.", "quarter(DATE '2001-05-03')", "2", 1, 1,
                &BindPartOfName},
    FunctionRow{"second", "second(timestamp)", "0 to 59.",
                "second(TIMESTAMP '2001-01-01T10:20:30Z')", "30", 1, 1, &BindPartOfName},
    FunctionRow{"strftime", "strftime(time, 'format')",
                "By %Y %y %m %d %H %I %p %M %S %f (us) %g (ms) %j %b %B %a %A %u %w %V %G %z (+00) "
                "%%; %-d leaves the zeros out. English names.",
                "strftime(TIMESTAMP '2001-02-03T04:05:06Z', '%a %-d %b %Y, %H:%M')",
                "\"Sat 3 Feb 2001, 04:05\"", 2, 2, &BindStrftime},
    FunctionRow{"strptime", "strptime(text, 'format')",
                "The timestamp, in UTC if %z (Z, +02, +0200, +02:00) does not say otherwise; NULL "
                "when the text does not fit. A blank matches any run of blanks; those around the "
                "text are passed over. %Y %y %m %d %H %I %p %M %S %f (1 to 6 digits) %g %b %B %a "
                "%A %z %%.",
                "strptime('3.2.2001 04:05', '%d.%m.%Y %H:%M')", "\"2001-02-03T04:05:00Z\"", 2, 2,
                &BindStrptime, "try_strptime"},
    FunctionRow{"timezone", "timezone('zone', time)", "As `time AT TIME ZONE 'zone'`.",
                "timezone('Europe/Berlin', TIMESTAMP '2001-07-01T12:00:00Z')",
                "\"2001-07-01T14:00:00\"", 2, 2, &BindTimeZone},
    FunctionRow{"to_timestamp", "to_timestamp(seconds)", "The timestamp so long after 1970.",
                "to_timestamp(1.5)", "\"1970-01-01T00:00:01.500Z\"", 1, 1, &BindToTimestamp},
    FunctionRow{"week", "week(time)", "The week of ISO 8601, 1 to 53.", "week(DATE '2001-01-08')",
                "2", 1, 1, &BindPartOfName, "weekofyear"},
    FunctionRow{"year", "year(time)", "The year.", "year(TIMESTAMP '2001-02-03T00:00:00Z')", "2001",
                1, 1, &BindPartOfName},
};

}  // namespace

std::span<const FunctionRow> TimeFunctions() { return kFunctions; }

}  // namespace headrace::pipeline
