#include "pipeline/expressions/functions.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>

#include "pipeline/expressions/binder.h"
#include "pipeline/expressions/kernels.h"

namespace headrace::pipeline {
namespace {

using columns::Type;
using columns::Value;

constexpr ValueType kBoolType{Type::kBool};
constexpr ValueType kIntType{Type::kInt64};
constexpr ValueType kFloatType{Type::kFloat64};
constexpr ValueType kTextType{Type::kString};

bool IsNumber(const ValueType& type) {
  return !type.duration && !type.any && columns::IsNumeric(type.type);
}

// Each argument as a text; then the kernel of the function's name.
Bound BindText(Binder& binder, const Call& call, ValueType result) {
  std::vector<uint32_t> arguments;
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    HR_TRY(const uint32_t text,
           binder.Convert(*call.syntax.children[i], call.arguments[i], kTextType));
    arguments.push_back(text);
  }
  return binder.Emit(call.syntax, TextKernel(call.function), result, std::move(arguments));
}
Bound BindTextToText(Binder& binder, const Call& call) { return BindText(binder, call, kTextType); }
Bound BindTextToInt(Binder& binder, const Call& call) { return BindText(binder, call, kIntType); }
Bound BindTextToBool(Binder& binder, const Call& call) { return BindText(binder, call, kBoolType); }

// NULLs count as empty texts.
Bound BindConcat(Binder& binder, const Call& call) {
  uint32_t result = binder.Constant(kTextType, Value::String(""));
  const uint32_t empty = result;
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    HR_TRY(uint32_t text, binder.Convert(*call.syntax.children[i], call.arguments[i], kTextType));
    HR_TRY(text,
           binder.Emit(call.syntax, CoalesceKernel(MachineType::kText), kTextType, {text, empty}));
    HR_TRY(result, binder.Emit(call.syntax, TextKernel("concat"), kTextType, {result, text}));
  }
  return result;
}

Bound BindSubstring(Binder& binder, const Call& call) {
  HR_TRY(const uint32_t text,
         binder.Convert(*call.syntax.children[0], call.arguments[0], kTextType));
  HR_TRY(const uint32_t start,
         binder.Convert(*call.syntax.children[1], call.arguments[1], kIntType));
  uint32_t length = 0;
  if (call.arguments.size() == 3) {
    HR_TRY(length, binder.Convert(*call.syntax.children[2], call.arguments[2], kIntType));
  } else {
    length = binder.Constant(kIntType, Value::Int64(std::numeric_limits<int64_t>::max()));
  }
  return binder.Emit(call.syntax, TextKernel("substr"), kTextType, {text, start, length});
}

Bound BindMatch(Binder& binder, const Call& call) {
  HR_TRY(const uint32_t text,
         binder.Convert(*call.syntax.children[0], call.arguments[0], kTextType));
  const Step& pattern = binder.step(call.arguments[1]);
  const bool constant = pattern.kind == Step::Kind::kConstant && pattern.type == kTextType &&
                        !pattern.constant.is_null();
  if (!constant) return Binder::Fail(*call.syntax.children[1], "the pattern must be a quoted text");
  auto data = MakeRegularExpression(pattern.constant.as_text());
  if (!data)
    return Binder::Fail(*call.syntax.children[1],
                        fmt::format("no regular expression: {}", data.error()));
  return binder.Emit(call.syntax, RegularExpressionKernel(), kBoolType, {text}, std::move(*data));
}

Bound BindAbs(Binder& binder, const Call& call) {
  const ValueType type = binder.step(call.arguments[0]).type;
  if (type.duration)
    return binder.Emit(call.syntax, AbsKernel(MachineType::kInt), type, {call.arguments[0]});
  const ValueType result = IsNumber(type) && columns::IsInteger(type.type) ? kIntType : kFloatType;
  HR_TRY(const uint32_t number,
         binder.Convert(*call.syntax.children[0], call.arguments[0], result));
  return binder.Emit(call.syntax, AbsKernel(MachineTypeOf(result.type)), result, {number});
}

Bound BindRounding(Binder& binder, const Call& call) {
  HR_TRY(const uint32_t number,
         binder.Convert(*call.syntax.children[0], call.arguments[0], kFloatType));
  return binder.Emit(call.syntax, RoundingKernel(call.function), kFloatType, {number});
}

Bound BindQuotient(Binder& binder, const Call& call) {
  HR_TRY(const uint32_t a, binder.Convert(*call.syntax.children[0], call.arguments[0], kIntType));
  HR_TRY(const uint32_t b, binder.Convert(*call.syntax.children[1], call.arguments[1], kIntType));
  return binder.Emit(call.syntax, ArithmeticKernel("div", MachineType::kInt), kIntType, {a, b});
}

// Folds two at a time, from the left.
Bound BindChain(Binder& binder, const Call& call,
                Kernel (*kernel_of)(std::string_view, MachineType)) {
  std::vector<uint32_t> arguments = call.arguments;
  HR_TRY(const ValueType type, binder.Unify(call.syntax, arguments));
  uint32_t result = arguments[0];
  for (size_t i = 1; i < arguments.size(); ++i) {
    HR_TRY(result, binder.Emit(call.syntax, kernel_of(call.function, MachineTypeOf(type.type)),
                               type, {result, arguments[i]}));
  }
  return result;
}
Bound BindCoalesce(Binder& binder, const Call& call) {
  return BindChain(binder, call,
                   [](std::string_view, MachineType type) { return CoalesceKernel(type); });
}
Bound BindExtreme(Binder& binder, const Call& call) {
  return BindChain(binder, call, &ExtremeKernel);
}

Bound BindNullIf(Binder& binder, const Call& call) {
  const ValueType first = binder.step(call.arguments[0]).type;
  std::vector<uint32_t> arguments = call.arguments;
  HR_TRY(const ValueType type, binder.Unify(call.syntax, arguments));
  const bool same_machine =
      MachineTypeOf(first.type) == MachineTypeOf(type.type) && first.type != Type::kDate;
  return binder.Emit(call.syntax, NullIfKernel(MachineTypeOf(type.type)),
                     same_machine && !first.any ? first : type, std::move(arguments));
}

bool IsInstant(Type type) { return type == Type::kTimestamp || type == Type::kTimestampNtz; }

// A part of a timestamp; a date counts as its midnight where that makes sense.
Bound BindTimePart(Binder& binder, const Call& call) {
  const ValueType type = binder.step(call.arguments[0]).type;
  const bool of_clock =
      call.function == "hour" || call.function == "minute" || call.function == "second";
  const ValueType wanted{IsInstant(type.type) ? type.type : Type::kTimestamp};
  if (of_clock && type.type == Type::kDate)
    return Binder::Fail(call.syntax, fmt::format("a date has no {}", call.function));
  HR_TRY(const uint32_t time, binder.Convert(*call.syntax.children[0], call.arguments[0], wanted));
  return binder.Emit(call.syntax, TimeKernel(call.function), kIntType, {time});
}

Bound BindDateTrunc(Binder& binder, const Call& call) {
  const Step& unit = binder.step(call.arguments[0]);
  const bool constant =
      unit.kind == Step::Kind::kConstant && unit.type == kTextType && !unit.constant.is_null();
  const Kernel kernel = constant ? TimeKernel("truncate " + unit.constant.as_text()) : nullptr;
  if (kernel == nullptr)
    return Binder::Fail(
        *call.syntax.children[0],
        "the unit is one of 'second', 'minute', 'hour', 'day', 'week', 'month', 'year'");
  const Type type = binder.step(call.arguments[1]).type.type;
  const ValueType wanted{IsInstant(type) ? type : Type::kTimestamp};
  HR_TRY(const uint32_t time, binder.Convert(*call.syntax.children[1], call.arguments[1], wanted));
  return binder.Emit(call.syntax, kernel, wanted, {time});
}

constexpr size_t kMany = 64;

constexpr std::array kFunctions = {
    FunctionRow{"abs", "abs(number)", "The distance from 0. Overflow gives NULL.", "abs(-3)", "3",
                1, 1, &BindAbs},
    FunctionRow{"ceil", "ceil(number)", "The next whole number upwards, as float64.", "ceil(2.1)",
                "3.0", 1, 1, &BindRounding},
    FunctionRow{"coalesce", "coalesce(value, ...)", "The first that is not NULL.",
                "coalesce(NULL, 4)", "4", 1, kMany, &BindCoalesce},
    FunctionRow{"concat", "concat(text, ...)",
                "The texts joined; NULL counts as empty (`||` gives NULL instead).",
                "concat('SEA', '-', NULL, 'SFO')", "\"SEA-SFO\"", 1, kMany, &BindConcat},
    FunctionRow{"contains", "contains(text, part)", "Whether the part is in the text.",
                "contains('flight', 'lig')", "true", 2, 2, &BindTextToBool},
    FunctionRow{"date_trunc", "date_trunc(unit, time)",
                "The start of the second, minute, hour, day, week (Monday), month or year.",
                "date_trunc('hour', TIMESTAMP '2001-01-01T10:20:30Z')", "\"2001-01-01T10:00:00Z\"",
                2, 2, &BindDateTrunc},
    FunctionRow{"day", "day(time)", "Day of the month.", "day(DATE '2001-02-03')", "3", 1, 1,
                &BindTimePart},
    FunctionRow{"day_of_week", "day_of_week(time)", "1 is Monday, 7 is Sunday.",
                "day_of_week(DATE '2001-01-01')", "1", 1, 1, &BindTimePart},
    FunctionRow{"div", "div(a, b)", "Whole quotient, towards zero; by 0 gives NULL.", "div(-7, 2)",
                "-3", 2, 2, &BindQuotient},
    FunctionRow{"ends_with", "ends_with(text, end)", "Whether the text ends so.",
                "ends_with('flight', 'ht')", "true", 2, 2, &BindTextToBool},
    FunctionRow{"floor", "floor(number)", "The next whole number downwards, as float64.",
                "floor(-2.1)", "-3.0", 1, 1, &BindRounding},
    FunctionRow{"greatest", "greatest(value, ...)", "The largest; NULLs are passed over.",
                "greatest(1, 3, NULL)", "3", 1, kMany, &BindExtreme},
    FunctionRow{"hour", "hour(timestamp)", "0 to 23, in UTC.",
                "hour(TIMESTAMP '2001-01-01T10:20:30Z')", "10", 1, 1, &BindTimePart},
    FunctionRow{"least", "least(value, ...)", "The smallest; NULLs are passed over.",
                "least(2.5, 1)", "1.0", 1, kMany, &BindExtreme},
    FunctionRow{"length", "length(text)", "Code points.", "length('Zürich')", "6", 1, 1,
                &BindTextToInt},
    FunctionRow{"lower", "lower(text)", "A to Z become a to z; other letters stay.", "lower('SEA')",
                "\"sea\"", 1, 1, &BindTextToText},
    FunctionRow{"minute", "minute(timestamp)", "0 to 59.",
                "minute(TIMESTAMP '2001-01-01T10:20:30Z')", "20", 1, 1, &BindTimePart},
    FunctionRow{"month", "month(time)", "1 to 12.", "month(DATE '2001-02-03')", "2", 1, 1,
                &BindTimePart},
    FunctionRow{"nullif", "nullif(a, b)", "NULL when they are equal, else a.", "nullif(0, 0)",
                "null", 2, 2, &BindNullIf},
    FunctionRow{"regexp_match", "regexp_match(text, 'pattern')",
                "Whether RE2 finds the pattern in the text; anchor it with ^ and $.",
                "regexp_match('SEA', '^[A-Z]{3}$')", "true", 2, 2, &BindMatch},
    FunctionRow{"round", "round(number)",
                "The nearest whole number, halves away from zero, as float64.", "round(-2.5)",
                "-3.0", 1, 1, &BindRounding},
    FunctionRow{"second", "second(timestamp)", "0 to 59.",
                "second(TIMESTAMP '2001-01-01T10:20:30Z')", "30", 1, 1, &BindTimePart},
    FunctionRow{"sqrt", "sqrt(number)", "Square root; of a negative number NULL.", "sqrt(9)", "3.0",
                1, 1, &BindRounding},
    FunctionRow{"starts_with", "starts_with(text, start)", "Whether the text starts so.",
                "starts_with('flight', 'fl')", "true", 2, 2, &BindTextToBool},
    FunctionRow{"substr", "substr(text, start, length)",
                "Code points from `start` (1 is the first), to the end without a length.",
                "substr('flight', 2, 3)", "\"lig\"", 2, 3, &BindSubstring},
    FunctionRow{"trim", "trim(text)", "Without blanks at both ends.", "trim('  SEA ')", "\"SEA\"",
                1, 1, &BindTextToText},
    FunctionRow{"trunc", "trunc(number)", "Without its fraction, as float64.", "trunc(-2.9)",
                "-2.0", 1, 1, &BindRounding},
    FunctionRow{"upper", "upper(text)", "a to z become A to Z; other letters stay.", "upper('sea')",
                "\"SEA\"", 1, 1, &BindTextToText},
    FunctionRow{"year", "year(time)", "The year.", "year(TIMESTAMP '2001-02-03T00:00:00Z')", "2001",
                1, 1, &BindTimePart},
};

constexpr std::array kForms = {
    FormRow{"a + b, a - b, a * b",
            "Integers stay int64, and overflow gives NULL; with a float the result is float64.",
            "2 + 3 * 4", "14"},
    FormRow{"a / b",
            "Always float64, also for two integers; by 0 gives NULL. `div(a, b)` is the whole "
            "quotient.",
            "7 / 2", "3.5"},
    FormRow{"a % b", "Remainder with the sign of a; by 0 gives NULL.", "-7 % 3", "-1"},
    FormRow{"-a", "Negated; binds tighter than any other operator.", "-(2 - 3)", "1"},
    FormRow{"= <> != < <= > >=",
            "Comparison. NULL on either side gives NULL. NaN equals NaN and is above every number.",
            "2 <= 3", "true"},
    FormRow{"AND, OR, NOT", "Three-valued: `FALSE AND NULL` is false, `TRUE AND NULL` is NULL.",
            "TRUE OR NULL", "true"},
    FormRow{"a IS [NOT] NULL", "Never NULL itself.", "NULL IS NULL", "true"},
    FormRow{"a [NOT] IN (b, ...)",
            "Whether one of them equals a; NULL if none does and one of them is NULL.",
            "'SEA' IN ('SFO', 'SEA')", "true"},
    FormRow{"a [NOT] BETWEEN low AND high", "Both ends included.", "3 BETWEEN 1 AND 3", "true"},
    FormRow{"a [NOT] LIKE pattern", "% is any text, _ any one code point.", "'flight' LIKE 'fl%t'",
            "true"},
    FormRow{"a || b", "Texts joined; NULL if one is NULL.", "'SEA' || '-' || 'SFO'", "\"SEA-SFO\""},
    FormRow{"CASE WHEN c THEN a ... [ELSE b] END",
            "The value of the first condition that is true; NULL without ELSE.",
            "CASE WHEN 1 > 2 THEN 'up' ELSE 'down' END", "\"down\""},
    FormRow{"CASE x WHEN v THEN a ... END", "The same, comparing x with each v.",
            "CASE 2 WHEN 1 THEN 'one' WHEN 2 THEN 'two' END", "\"two\""},
    FormRow{"CAST(a AS type)",
            "To bool, int32, int64, float32, float64, string, date, timestamp, timestamp_ntz. "
            "Floats become integers towards zero; what does not fit or parse gives NULL.",
            "CAST('42' AS int64)", "42"},
    FormRow{"1, 2.5, 'text', TRUE, NULL",
            "Literals: int64, float64, string ('' for a quote inside), bool.", "'it''s'",
            "\"it's\""},
    FormRow{"DATE '...', TIMESTAMP '...'", "RFC 3339; without an offset UTC.",
            "TIMESTAMP '2001-01-01T02:00:00+02:00'", "\"2001-01-01T00:00:00Z\""},
    FormRow{
        "3s, 10m, 1h30m, 7d",
        "A span of time. A timestamp plus or minus a span is a timestamp; two timestamps differ by "
        "a span; a span by a span is a float64. As a feature a span is int64 microseconds.",
        "(TIMESTAMP '2001-01-01T02:00:00Z' - TIMESTAMP '2001-01-01') / 1h", "2.0"},
    FormRow{"name, view.name, \"any name\"",
            "A column; under on_request a feature or an input. Case matters. Quote what is not "
            "letters, digits and underscores, and keywords.",
            "1", "1"},
};

constexpr std::array<std::string_view, 19> kUnpinned = {
    "exp",  "ln",   "log",  "log2",  "log10", "pow",  "power", "sin",  "cos",   "tan",
    "asin", "acos", "atan", "atan2", "sinh",  "cosh", "tanh",  "cbrt", "random"};

}  // namespace

std::span<const FunctionRow> FunctionTable() { return kFunctions; }
std::span<const FormRow> FormTable() { return kForms; }

const FunctionRow* FunctionNamed(std::string_view name) {
  const auto row = std::find_if(kFunctions.begin(), kFunctions.end(),
                                [&](const FunctionRow& r) { return r.name == name; });
  return row == kFunctions.end() ? nullptr : &*row;
}

bool IsUnpinnedFunction(std::string_view name) {
  return std::find(kUnpinned.begin(), kUnpinned.end(), name) != kUnpinned.end();
}

}  // namespace headrace::pipeline
