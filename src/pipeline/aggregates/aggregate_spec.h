#pragma once
// What an aggregate is: the function, its argument, its condition. The registry (AggregateTable) is
// the single list of them: the reader of pipeline files, the reference and its tests go by it.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "columns/type.h"

namespace headrace::pipeline {

enum class AggregateKind : uint8_t {
  kCount,
  kSum,
  kMean,
  kMin,
  kMax,
  kShare,
  kQuantile,
  kLast,
  kFirst,
  kVarSamp,
  kVarPop,
  kStddevSamp,
  kStddevPop,
  kCountDistinct,
  kApproxDistinct,
  kRate,
  kTimeSinceLast,
  kFirstN,
  kLastN,
  kTopK,
  kTopKCounts,
  kValues,
  kDecayedSum,
  kDecayedCount,
};

// What may be done with the thing that an aggregate accumulates. Every one of them is a function of
// the set of rows.
enum class Algebra : uint8_t {
  kInvertible,  // rows can be taken out again, and parts merged
  kMergeable,   // parts can be merged; to be without a row, add the others
};

// What may stand for the rows of a feature, so that they need not be kept.
enum class Tiles : uint8_t {
  kNone,         // it needs each row
  kOfPrecision,  // what was accumulated over spans of time
  kOfAllTime,    // that too, or over all time
};

// What may stand in its parentheses first.
enum class Takes : uint8_t { kAny, kNumber, kCondition, kStar, kStarOrAny, kStarOrNumber };

// What follows the argument.
enum class Parameter : uint8_t {
  kNone,
  kRank,           // quantile(x, 0.9) or quantile(x, 0.9, error 1%)
  kRegisterError,  // approx_distinct(x) or approx_distinct(x, error 2%)
  kSize,           // last_n(x, 5)
  kHalfLife,       // decayed_sum(x, 1h)
};

struct AggregateRow {
  AggregateKind kind;
  std::string_view name;     // "avg"
  std::string_view aliases;  // "mean average", or empty
  Takes takes;
  Parameter parameter;
  std::string_view gives;  // result type for people
  std::string_view empty;  // the answer over no rows: "0" or "NULL"
  Algebra algebra;
  Tiles tiles;               // what may stand for its rows
  std::string_view error;    // how far the answer may be from the true one: "exact"
  std::string_view says;     // what it is
  std::string_view example;  // over ExampleRows
  std::string_view answer;   // to it, as JSON
};
std::span<const AggregateRow> AggregateTable();
const AggregateRow& RowOf(AggregateKind kind);
// By name or alias, in small letters; null when there is none.
const AggregateRow* AggregateNamed(std::string_view name);
std::vector<std::string> AliasesOf(const AggregateRow& row);
// Names of the aggregates that take an argument of this type.
std::vector<std::string> AggregatesTaking(columns::Type type);
// "number", "* or any" ...
std::string_view TextOf(Takes takes);
std::string_view TextOf(Algebra algebra);

// A name that other engines have for something that is written otherwise here: "median" is
// "quantile(x, 0.5)".
std::optional<std::string_view> WrittenInstead(std::string_view name);

// The rows that the examples are about, as an NDJSON stream with the event time `at`; they are
// answered over an hour, as of kExampleAsOf.
std::span<const std::string_view> ExampleRows();
inline constexpr std::string_view kExampleAsOf = "2026-01-01T10:00:00Z";

// The most that a list of an answer may hold.
constexpr uint32_t kListElementsMax = 1000;

// `argument` and `where` index ViewDefinition::arguments.
struct AggregateSpec {
  std::string name;  // the feature's: "mean_delay"
  AggregateKind kind = AggregateKind::kCount;
  std::optional<size_t> argument;  // none: count(*)
  columns::Type argument_type = columns::Type::kInt64;
  std::optional<size_t> where;  // count(*) where kind = 'buy'
  double quantile = 0.5;        // kQuantile: in (0, 1]
  int quantile_bits = 7;        // kQuantile: mantissa bits of a bucket; relative error 2^-bits
  int register_bits = 12;       // kApproxDistinct: 2^bits registers
  uint32_t size = 0;            // of lists: how many elements at most; 0: the answer is no list
  base::Duration half_life{0};  // of decays
  columns::Type result_type = columns::Type::kInt64;
};

// The type of the answer; nothing when the aggregate can't take the argument's type.
std::optional<columns::Type> ResultType(AggregateKind kind, std::optional<columns::Type> argument);

}  // namespace headrace::pipeline
