#include "pipeline/aggregates/aggregate_spec.h"

#include <array>

namespace headrace::pipeline {
namespace {

using columns::Type;

constexpr std::array kRows = {
    AggregateRow{AggregateKind::kCount, "count", "", "* or any", "int64", "0", "count(*)",
                 "How many rows, or with an argument how many rows where it is not NULL."},
    AggregateRow{AggregateKind::kSum, "sum", "", "number", "int64 of integers, float64 of floats",
                 "NULL", "sum(distance / 480.0)",
                 "The exact sum: integers in 128 bits, floats without rounding until the end, so "
                 "that order can't change a bit. "
                 "A sum of integers beyond int64 is INVALID."},
    AggregateRow{AggregateKind::kMean, "avg", "mean", "number", "float64", "NULL", "avg(delay)",
                 "The exact sum, rounded once, divided by the count."},
    AggregateRow{AggregateKind::kMin, "min", "", "any", "as its argument", "NULL", "min(delay)",
                 "The smallest value; texts by their bytes, NaN above every number."},
    AggregateRow{AggregateKind::kMax, "max", "", "any", "as its argument", "NULL", "max(delay)",
                 "The largest value; texts by their bytes, NaN above every number."},
    AggregateRow{AggregateKind::kShare, "share", "", "condition", "float64", "NULL",
                 "share(delay > 15)",
                 "Rows where the condition is true, divided by rows where it is true or false."},
    AggregateRow{AggregateKind::kQuantile, "quantile", "",
                 "number, then a rank in (0, 1], then optionally error 1%", "float64", "NULL",
                 "quantile(delay, 0.9)",
                 "The value at the nearest rank, within the stated relative error (1 % unless "
                 "said): log-spaced buckets on both "
                 "sides of zero, answered by the edge nearest zero, so exact for small integers."},
    AggregateRow{AggregateKind::kLast, "last", "", "any", "as its argument", "NULL",
                 "last(destination)",
                 "The value of the newest row by event time, then by position; the only one "
                 "without a window. A NULL is a value."},
};

}  // namespace

std::span<const AggregateRow> AggregateTable() { return kRows; }

std::optional<Type> ResultType(AggregateKind kind, std::optional<Type> argument) {
  if (kind == AggregateKind::kCount) return Type::kInt64;
  if (!argument) return std::nullopt;
  const Type type = *argument;
  switch (kind) {
    case AggregateKind::kSum:
      if (!columns::IsNumeric(type)) return std::nullopt;
      return columns::IsInteger(type) ? Type::kInt64 : Type::kFloat64;
    case AggregateKind::kMean:
    case AggregateKind::kQuantile:
      return columns::IsNumeric(type) ? std::optional(Type::kFloat64) : std::nullopt;
    case AggregateKind::kMin:
    case AggregateKind::kMax:
    case AggregateKind::kLast: return type;
    case AggregateKind::kShare:
      return type == Type::kBool ? std::optional(Type::kFloat64) : std::nullopt;
    case AggregateKind::kCount: break;
  }
  return std::nullopt;
}

}  // namespace headrace::pipeline
