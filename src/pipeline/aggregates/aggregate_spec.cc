#include "pipeline/aggregates/aggregate_spec.h"

#include <algorithm>
#include <array>

#include "base/result.h"

namespace headrace::pipeline {
namespace {

using columns::Type;

constexpr std::array kRows = {
    AggregateRow{AggregateKind::kCount, "count", "", Takes::kStarOrAny, Parameter::kNone, "int64",
                 "0", Algebra::kInvertible, Tiles::kOfAllTime, "exact",
                 "How many rows, or with an argument how many rows where it is not NULL.",
                 "count(amount)", "4"},
    AggregateRow{AggregateKind::kSum, "sum", "", Takes::kNumber, Parameter::kNone,
                 "int64 of integers, float64 of floats", "NULL", Algebra::kInvertible,
                 Tiles::kOfAllTime, "exact, then rounded once",
                 "Integers in 128 bits, floats without rounding until the end. A sum beyond int64 "
                 "or float64 is INVALID; infinities among the values sum as IEEE 754 says.",
                 "sum(amount)", "45.0"},
    AggregateRow{AggregateKind::kMean, "avg", "mean", Takes::kNumber, Parameter::kNone, "float64",
                 "NULL", Algebra::kInvertible, Tiles::kOfAllTime, "1 ulp: two roundings",
                 "The exact sum, rounded once, divided by the count: never beyond float64.",
                 "avg(amount)", "11.25"},
    AggregateRow{
        AggregateKind::kMin, "min", "", Takes::kAny, Parameter::kNone, "as its argument", "NULL",
        Algebra::kMergeable, Tiles::kOfAllTime, "exact",
        "The smallest value; texts by their bytes, -0.0 below 0.0, NaN above every number.",
        "min(amount)", "5.0"},
    AggregateRow{AggregateKind::kMax, "max", "", Takes::kAny, Parameter::kNone, "as its argument",
                 "NULL", Algebra::kMergeable, Tiles::kOfAllTime, "exact",
                 "The largest value; texts by their bytes, -0.0 below 0.0, NaN above every number.",
                 "max(shop)", "\"south\""},
    AggregateRow{AggregateKind::kShare, "share", "", Takes::kCondition, Parameter::kNone, "float64",
                 "NULL", Algebra::kInvertible, Tiles::kOfAllTime, "0.5 ulp: one rounding",
                 "Rows where the condition is true, divided by rows where it is true or false.",
                 "share(amount > 10)", "0.5"},
    AggregateRow{
        AggregateKind::kQuantile, "quantile", "approx_percentile approx_quantile", Takes::kNumber,
        Parameter::kRank, "float64", "NULL", Algebra::kInvertible, Tiles::kOfAllTime,
        "1 % relative unless said, 0.0001 % to 25 % (from 0.1 % without `over`); integers below 2 "
        "/ error are exact",
        "The value at the nearest rank in (0, 1]: log-spaced buckets on both sides of zero, "
        "answered by the edge nearest zero.",
        "quantile(items, 0.9, error 1%)", "4.0"},
    AggregateRow{AggregateKind::kLast, "last", "last_value", Takes::kAny, Parameter::kNone,
                 "as its argument", "NULL", Algebra::kMergeable, Tiles::kOfAllTime, "exact",
                 "The value of the newest row by event time, then by position. A NULL is a value.",
                 "last(shop)", "\"north\""},
    AggregateRow{
        AggregateKind::kFirst, "first", "first_value", Takes::kAny, Parameter::kNone,
        "as its argument", "NULL", Algebra::kMergeable, Tiles::kOfAllTime, "exact",
        "The value of the oldest row of the window by event time, then by position. A NULL "
        "is a value.",
        "first(items)", "1"},
    AggregateRow{AggregateKind::kVarSamp, "var_samp", "variance variance_samp", Takes::kNumber,
                 Parameter::kNone, "float64", "NULL, also over one value", Algebra::kInvertible,
                 Tiles::kOfAllTime, "2 ulp: exact sums, two or three roundings",
                 "(n * sum of squares - square of the sum) / (n * (n - 1)), over exact sums of "
                 "values and of their squares. NaN with a NaN or an infinity; beyond float64 "
                 "INVALID.",
                 "var_samp(items)", "1.7"},
    AggregateRow{AggregateKind::kVarPop, "var_pop", "variance_pop", Takes::kNumber,
                 Parameter::kNone, "float64", "NULL", Algebra::kInvertible, Tiles::kOfAllTime,
                 "2 ulp: exact sums, two or three roundings",
                 "The same, divided by n * n: the rows are all there is, not a sample.",
                 "var_pop(items)", "1.36"},
    AggregateRow{AggregateKind::kStddevSamp, "stddev_samp", "stddev", Takes::kNumber,
                 Parameter::kNone, "float64", "NULL, also over one value", Algebra::kInvertible,
                 Tiles::kOfAllTime, "2 ulp: exact sums, three or four roundings",
                 "The square root of var_samp, also where that is beyond float64.",
                 "stddev_samp(items)", "1.3038404810405297"},
    AggregateRow{AggregateKind::kStddevPop, "stddev_pop", "", Takes::kNumber, Parameter::kNone,
                 "float64", "NULL", Algebra::kInvertible, Tiles::kOfAllTime,
                 "2 ulp: exact sums, three or four roundings",
                 "The square root of var_pop, also where that is beyond float64.",
                 "stddev_pop(items)", "1.1661903789690602"},
    AggregateRow{AggregateKind::kCountDistinct, "count_distinct", "", Takes::kAny, Parameter::kNone,
                 "int64", "0", Algebra::kInvertible, Tiles::kOfPrecision, "exact",
                 "How many different values; also written count(distinct x). -0.0 is 0.0, all NaNs "
                 "are one. More than 1,048,576 of them in a window are INVALID.",
                 "count(distinct shop)", "3"},
    AggregateRow{AggregateKind::kApproxDistinct, "approx_distinct", "approx_count_distinct",
                 Takes::kAny, Parameter::kRegisterError, "int64", "0", Algebra::kMergeable,
                 Tiles::kOfAllTime,
                 "exact up to 1,024, then 1.04 / sqrt(registers) relative standard error: 1.6 % "
                 "unless said, 0.25 % to 25 %",
                 "How many different values, with bounded memory: HyperLogLog registers, whose "
                 "estimate is a function of the set of values like everything here.",
                 "approx_distinct(shop, error 2%)", "3"},
    AggregateRow{AggregateKind::kRate, "rate", "", Takes::kStarOrNumber, Parameter::kNone,
                 "float64", "0.0 of rows, NULL of a sum", Algebra::kInvertible, Tiles::kOfPrecision,
                 "1 ulp: two roundings, three of a window that is no whole number of seconds",
                 "Per second over the whole window: rows with `*`, the exact sum of an argument.",
                 "rate(*)", "0.001388888888888889"},
    AggregateRow{AggregateKind::kTimeSinceLast, "time_since_last", "", Takes::kStar,
                 Parameter::kNone, "float64", "NULL", Algebra::kMergeable, Tiles::kOfAllTime,
                 "0.5 ulp: one rounding",
                 "Seconds from the newest row's event time to the question's time.",
                 "time_since_last(*) where shop = 'east'", "1200.0"},
    AggregateRow{AggregateKind::kFirstN, "first_n", "first_k", Takes::kAny, Parameter::kSize,
                 "list of its argument", "NULL", Algebra::kMergeable, Tiles::kNone, "exact",
                 "The values of the first n rows where it is not NULL, by event time, then by "
                 "position; n is up to 1,000.",
                 "first_n(amount, 2)", "[20.0,5.0]"},
    AggregateRow{
        AggregateKind::kLastN, "last_n", "last_k", Takes::kAny, Parameter::kSize,
        "list of its argument", "NULL", Algebra::kMergeable, Tiles::kNone, "exact",
        "The values of the last n rows where it is not NULL, the newest at the end; n is up "
        "to 1,000.",
        "last_n(shop, 3)", "[\"north\",\"east\",\"north\"]"},
    AggregateRow{
        AggregateKind::kTopK, "top_k", "topk", Takes::kAny, Parameter::kSize,
        "list of its argument", "NULL", Algebra::kInvertible, Tiles::kNone, "exact",
        "The k most frequent values, the most frequent first, of equally frequent ones the "
        "lesser first; k is up to 1,000. More than 1,048,576 different values in a window "
        "are INVALID.",
        "top_k(shop, 2)", "[\"north\",\"east\"]"},
    AggregateRow{AggregateKind::kTopKCounts, "top_k_counts", "topk_counts", Takes::kAny,
                 Parameter::kSize, "list of int64", "NULL", Algebra::kInvertible, Tiles::kNone,
                 "exact", "How often each value of top_k occurs, in its order.",
                 "top_k_counts(shop, 2)", "[3,1]"},
    AggregateRow{AggregateKind::kValues, "values", "collect_set", Takes::kAny, Parameter::kSize,
                 "list of its argument", "NULL", Algebra::kMergeable, Tiles::kNone, "exact",
                 "The different values, ascending; of more than n (up to 1,000) those n that "
                 "occurred last.",
                 "values(shop, 100)", "[\"east\",\"north\",\"south\"]"},
    AggregateRow{AggregateKind::kDecayedSum, "decayed_sum", "", Takes::kNumber,
                 Parameter::kHalfLife, "float64", "NULL", Algebra::kInvertible, Tiles::kNone,
                 "each term within 2^-51 of itself; their sum is exact, then rounded once",
                 "The sum of x * 2^(-age / half-life) over the rows of the window; age is from the "
                 "event time to the question's time. Rows of 1,022 half-lives or more weigh "
                 "nothing.",
                 "decayed_sum(items, 20m)", "6.134965913812856"},
    AggregateRow{AggregateKind::kDecayedCount, "decayed_count", "", Takes::kStarOrAny,
                 Parameter::kHalfLife, "float64", "0.0", Algebra::kInvertible, Tiles::kNone,
                 "each weight within 2^-51 of itself; their sum is exact, then rounded once",
                 "The sum of 2^(-age / half-life) over the rows, or with an argument over those "
                 "where it is not NULL.",
                 "decayed_count(*, 20m)", "2.314974889301032"},
};

struct OtherName {
  std::string_view name;
  std::string_view here;
};

constexpr std::array kOtherNames = {
    OtherName{"array_agg", "last_n(x, 100)"},
    OtherName{"collect_list", "last_n(x, 100)"},
    OtherName{"array_unique_agg", "values(x, 100)"},
    OtherName{"mode", "top_k(x, 1)"},
    OtherName{"approx_top_k", "top_k(x, 10) and top_k_counts(x, 10)"},
    OtherName{"ewma", "decayed_sum(x, 1h)"},
    OtherName{"median", "quantile(x, 0.5)"},
    OtherName{"percentile", "quantile(x, 0.9)"},
    OtherName{"percentile_cont", "quantile(x, 0.9)"},
    OtherName{"percentile_disc", "quantile(x, 0.9)"},
    OtherName{"distinct", "count_distinct(x)"},
    OtherName{"hll", "approx_distinct(x)"},
    OtherName{"count_if", "count(*) where condition"},
    OtherName{"any_value", "last(x)"},
    OtherName{"any", "max(condition)"},
    OtherName{"some", "max(condition)"},
    OtherName{"bool_or", "max(condition)"},
    OtherName{"every", "min(condition)"},
    OtherName{"bool_and", "min(condition)"},
};

constexpr std::array<std::string_view, 5> kExampleRows = {
    R"({"card":"a","at":"2026-01-01T09:10:00Z","shop":"north","amount":20.0,"items":1})",
    R"({"card":"a","at":"2026-01-01T09:25:00Z","shop":"south","amount":5.0,"items":2})",
    R"({"card":"a","at":"2026-01-01T09:40:00Z","shop":"north","items":3})",
    R"({"card":"a","at":"2026-01-01T09:40:00Z","shop":"east","amount":12.5,"items":1})",
    R"({"card":"a","at":"2026-01-01T09:55:00Z","shop":"north","amount":7.5,"items":4})",
};

bool CanTake(Takes takes, std::optional<Type> argument) {
  if (!argument) return takes >= Takes::kStar;
  switch (takes) {
    case Takes::kAny:
    case Takes::kStarOrAny: return true;
    case Takes::kNumber:
    case Takes::kStarOrNumber: return columns::IsNumeric(*argument);
    case Takes::kCondition: return *argument == Type::kBool;
    case Takes::kStar: return false;
  }
  return false;
}

}  // namespace

std::span<const AggregateRow> AggregateTable() { return kRows; }

const AggregateRow& RowOf(AggregateKind kind) {
  const auto found = std::ranges::find(kRows, kind, &AggregateRow::kind);
  HR_CHECK(found != kRows.end(), "an aggregate that is not in the registry");
  return *found;
}

std::vector<std::string> AliasesOf(const AggregateRow& row) {
  std::vector<std::string> aliases;
  for (size_t begin = 0; begin < row.aliases.size();) {
    const size_t end = std::min(row.aliases.find(' ', begin), row.aliases.size());
    aliases.emplace_back(row.aliases.substr(begin, end - begin));
    begin = end + 1;
  }
  return aliases;
}

const AggregateRow* AggregateNamed(std::string_view name) {
  for (const AggregateRow& row : kRows) {
    const auto aliases = AliasesOf(row);
    if (row.name == name || std::ranges::find(aliases, name) != aliases.end()) return &row;
  }
  return nullptr;
}

std::vector<std::string> AggregatesTaking(Type type) {
  std::vector<std::string> names;
  for (const AggregateRow& row : kRows)
    if (CanTake(row.takes, type)) names.emplace_back(row.name);
  return names;
}

std::string_view TextOf(Takes takes) {
  switch (takes) {
    case Takes::kAny: return "any";
    case Takes::kNumber: return "number";
    case Takes::kCondition: return "condition";
    case Takes::kStar: return "*";
    case Takes::kStarOrAny: return "* or any";
    case Takes::kStarOrNumber: return "* or number";
  }
  return "";
}

std::string_view TextOf(Algebra algebra) {
  return algebra == Algebra::kInvertible ? "invertible" : "mergeable";
}

std::optional<std::string_view> WrittenInstead(std::string_view name) {
  const auto found = std::ranges::find(kOtherNames, name, &OtherName::name);
  if (found == kOtherNames.end()) return std::nullopt;
  return found->here;
}

std::span<const std::string_view> ExampleRows() { return kExampleRows; }

std::optional<Type> ResultType(AggregateKind kind, std::optional<Type> argument) {
  if (!CanTake(RowOf(kind).takes, argument)) return std::nullopt;
  switch (kind) {
    case AggregateKind::kCount:
    case AggregateKind::kCountDistinct:
    case AggregateKind::kApproxDistinct: return Type::kInt64;
    case AggregateKind::kSum: return columns::IsInteger(*argument) ? Type::kInt64 : Type::kFloat64;
    case AggregateKind::kMin:
    case AggregateKind::kMax:
    case AggregateKind::kLast:
    case AggregateKind::kFirst: return argument;
    case AggregateKind::kMean:
    case AggregateKind::kShare:
    case AggregateKind::kQuantile:
    case AggregateKind::kVarSamp:
    case AggregateKind::kVarPop:
    case AggregateKind::kStddevSamp:
    case AggregateKind::kStddevPop:
    case AggregateKind::kRate:
    case AggregateKind::kTimeSinceLast:
    case AggregateKind::kDecayedSum:
    case AggregateKind::kDecayedCount: return Type::kFloat64;
    case AggregateKind::kFirstN:
    case AggregateKind::kLastN:
    case AggregateKind::kTopK:
    case AggregateKind::kValues: return columns::ListOf(*argument);
    case AggregateKind::kTopKCounts: return columns::ListOf(Type::kInt64);
  }
  return std::nullopt;
}

}  // namespace headrace::pipeline
