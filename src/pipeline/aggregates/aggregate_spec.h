#pragma once
// What an aggregate is: the function, its argument, its condition. The registry (AggregateTable) is
// the single list of them.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "columns/type.h"

namespace headrace::pipeline {

enum class AggregateKind : uint8_t { kCount, kSum, kMean, kMin, kMax, kShare, kQuantile, kLast };

struct AggregateRow {
  AggregateKind kind;
  std::string_view name;     // "avg"
  std::string_view alias;    // "mean", or empty
  std::string_view takes;    // "number", "any", "condition", "* or any"
  std::string_view gives;    // result type for people
  std::string_view empty;    // the answer over no rows: "0" or "NULL"
  std::string_view example;  // "avg(delay)"
  std::string_view says;     // one sentence of documentation
};
std::span<const AggregateRow> AggregateTable();

// `argument` and `where` index ViewDefinition::arguments.
struct AggregateSpec {
  std::string name;  // the feature's: "mean_delay"
  AggregateKind kind = AggregateKind::kCount;
  std::optional<size_t> argument;  // none: count(*)
  columns::Type argument_type = columns::Type::kInt64;
  std::optional<size_t> where;  // count(*) where kind = 'buy'
  double quantile = 0.5;        // kQuantile: in (0, 1]
  int quantile_bits = 7;        // kQuantile: mantissa bits of a bucket; relative error 2^-bits
  columns::Type result_type = columns::Type::kInt64;
};

// The type of the answer; nothing when the aggregate can't take the argument's type.
std::optional<columns::Type> ResultType(AggregateKind kind, std::optional<columns::Type> argument);

}  // namespace headrace::pipeline
