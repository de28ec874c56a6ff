#include "tables/delta/pruning.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <compare>
#include <limits>
#include <optional>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/time.h"
#include "tables/parquet/decimal_text.h"

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::Type;
using columns::Value;
using Is = Condition::Is;
using Json = nlohmann::json;

// Writers cut times to milliseconds, some of them downwards for the maximum too.
constexpr int64_t kTimeSlackUs = 1000;
// A zone's offset is printed without its seconds, which those of old local mean times have.
constexpr int64_t kOffsetSlackUs = 60'000'000;
constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD
constexpr int64_t kUsPerDay = 86'400'000'000;

bool Fits(const Value& value, const Condition& condition) {
  if (value.is_null()) return false;
  const auto order = CompareValues(value, condition.value);
  switch (condition.is) {
    case Is::kEqual: return order == 0;
    case Is::kLess: return order < 0;
    case Is::kAtMost: return order <= 0;
    case Is::kGreater: return order > 0;
    case Is::kAtLeast: return order >= 0;
  }
  return true;
}

// What a member of the statistics, which are nested as the columns are, has of a column; null when
// it has nothing.
const Json* MemberOf(const Json& stats, const char* which, const TableColumn& column) {
  const auto step = [](const Json* from, const std::string& name) -> const Json* {
    if (from == nullptr || !from->is_object()) return nullptr;
    const auto found = from->find(name);
    return found == from->end() ? nullptr : &*found;
  };
  const Json* at = step(step(&stats, which), column.physical_name);
  for (const TableColumn::Step& below : column.below) at = step(at, below.physical_name);
  return at;
}

enum class Bound : uint8_t { kLeast, kGreatest };

// Of floats, written with the fewest digits that tell them from their neighbours: as doubles they
// are a little off. Files of a column that was widened have such.
double AsFloatBound(double value, Bound bound) {
  if (std::abs(value) > std::numeric_limits<float>::max()) return value;
  const auto as_float = static_cast<double>(static_cast<float>(value));
  return bound == Bound::kLeast ? std::min(value, as_float) : std::max(value, as_float);
}

// "+00:53" at the end, and not "Z".
bool HasOffset(std::string_view time) {
  const size_t clock = time.find_first_of("T ");
  return clock != std::string_view::npos &&
         time.find_first_of("+-", clock) != std::string_view::npos;
}

// A bound as the statistics have it; nothing when it is not there or can't be told.
std::optional<Value> BoundOf(const Json& stats, Bound bound, const TableColumn& column) {
  const char* const name = bound == Bound::kLeast ? "minValues" : "maxValues";
  const Json* const found = MemberOf(stats, name, column);
  if (found == nullptr || !column.comparable()) return std::nullopt;
  const Type type = *column.held;
  if (columns::IsInteger(type))
    return found->is_number_integer() ? std::optional(Value(type, found->get<int64_t>()))
                                      : std::nullopt;
  if (columns::IsFloating(type)) {
    if (!found->is_number()) return std::nullopt;
    return Value(type, AsFloatBound(found->get<double>(), bound));
  }
  if (!found->is_string()) return std::nullopt;
  const auto text = found->get<std::string>();
  if (type == Type::kString) {
    // Some writers cut a maximum and put this behind it, which is below characters of four bytes.
    const bool cut = bound == Bound::kGreatest && text.ends_with(kReplacementCharacter);
    return cut ? std::nullopt : std::optional(Value(type, text));
  }
  const bool time = type == Type::kTimestamp || type == Type::kTimestampNtz;
  if (!time && type != Type::kDate) return std::nullopt;
  const auto parsed = base::ParseTimestamp(text);
  if (!parsed) return std::nullopt;
  if (!time) return Value(type, parsed->us / kUsPerDay);
  const int64_t slack = HasOffset(text) ? kOffsetSlackUs : 0;
  int64_t us = 0;
  const bool overflow =
      __builtin_add_overflow(parsed->us, bound == Bound::kLeast ? -slack : slack, &us);
  return overflow ? std::nullopt : std::optional(Value(type, us));
}

bool AllNull(const Json& stats, const TableColumn& column) {
  const auto rows = stats.find("numRecords");
  const Json* const count = MemberOf(stats, "nullCount", column);
  return rows != stats.end() && count != nullptr && count->is_number() && *count == *rows;
}

bool MayFitStats(const Json& stats, const TableColumn& column, const Condition& condition) {
  if (AllNull(stats, column)) return false;
  const auto min = BoundOf(stats, Bound::kLeast, column);
  auto max = BoundOf(stats, Bound::kGreatest, column);
  if (max && (*column.held == Type::kTimestamp || *column.held == Type::kTimestampNtz)) {
    int64_t us = 0;
    if (__builtin_add_overflow(max->as_int(), kTimeSlackUs, &us)) return true;
    max = Value(*column.held, us);
  }
  // NaN is no bound, and above every one.
  if (columns::IsFloating(*column.held) &&
      (condition.is == Is::kGreater || condition.is == Is::kAtLeast))
    return true;
  if (columns::IsFloating(*column.held) && std::isnan(condition.value.as_double())) return true;
  switch (condition.is) {
    case Is::kEqual:
      return !(min && CompareValues(condition.value, *min) < 0) &&
             !(max && CompareValues(condition.value, *max) > 0);
    case Is::kLess: return !(min && CompareValues(*min, condition.value) >= 0);
    case Is::kAtMost: return !(min && CompareValues(*min, condition.value) > 0);
    case Is::kGreater: return !(max && CompareValues(*max, condition.value) <= 0);
    case Is::kAtLeast: return !(max && CompareValues(*max, condition.value) < 0);
  }
  return true;
}

}  // namespace

std::weak_ordering CompareValues(const Value& a, const Value& b) {
  if (columns::IsVariable(a.type())) return a.as_text() <=> b.as_text();
  if (columns::IsFloating(a.type())) {
    const double x = a.as_double();
    const double y = b.as_double();
    if (std::isnan(x) || std::isnan(y)) return std::isnan(x) <=> std::isnan(y);
    return x < y ? std::weak_ordering::less
                 : (x > y ? std::weak_ordering::greater : std::weak_ordering::equivalent);
  }
  if (a.type() == Type::kBool) return a.as_bool() <=> b.as_bool();
  return a.as_int() <=> b.as_int();
}

std::vector<FileBounds> BoundsOf(const TableColumns& table, const AddFile& file) {
  const Json stats = Json::parse(file.stats, nullptr, /*allow_exceptions=*/false);
  std::vector<FileBounds> all(table.columns.size());
  for (size_t i = 0; i < all.size(); ++i) {
    const TableColumn& column = table.columns[i];
    if (!column.held) continue;
    if (column.partition) {
      const auto value = PartitionValue(column, file);
      if (!value) continue;
      all[i].all_null = value->is_null();
      if (!value->is_null() && column.comparable()) all[i].least = all[i].greatest = *value;
    } else if (stats.is_object()) {
      all[i].all_null = AllNull(stats, column);
      all[i].least = BoundOf(stats, Bound::kLeast, column);
      all[i].greatest = BoundOf(stats, Bound::kGreatest, column);
    }
  }
  return all;
}

Result<void> CheckConditions(const TableColumns& table, std::span<const Condition> conditions) {
  for (const Condition& condition : conditions) {
    const TableColumn* column = table.Named(condition.column);
    if (column == nullptr)
      return Fail(ErrorCode::kInvalidInput,
                  fmt::format("no column `{}` in the table", condition.column));
    if (column->comparable() && column->held == condition.value.type() &&
        !condition.value.is_null())
      continue;
    return Fail(ErrorCode::kInvalidInput,
                fmt::format("column `{}` is {}: it is not compared with {}", column->name,
                            column->type, condition.value.ToJson()));
  }
  return {};
}

bool MayFit(const TableColumns& table, std::span<const Condition> conditions, const AddFile& file) {
  if (conditions.empty()) return true;
  const Json stats = Json::parse(file.stats, nullptr, /*allow_exceptions=*/false);
  for (const Condition& condition : conditions) {
    const TableColumn& column = *table.Named(condition.column);
    if (column.partition) {
      const auto value = PartitionValue(column, file);
      if (value && !Fits(*value, condition)) return false;
    } else if (stats.is_object() && !MayFitStats(stats, column, condition)) {
      return false;
    }
  }
  return true;
}

Result<Value> PartitionValue(const TableColumn& column, const AddFile& file) {
  if (!column.held || *column.held == Type::kBytes)
    return Fail(base::Error(ErrorCode::kUnsupported,
                            fmt::format("partition column `{}` has type {}, which this version "
                                        "does not read",
                                        column.name, column.type))
                    .With("column", column.name));
  const auto found = std::ranges::find(file.partition_values, column.physical_name,
                                       [](const auto& each) { return each.first; });
  const bool null =
      found == file.partition_values.end() || !found->second || found->second->empty();
  if (null) return Value::Null(*column.held);
  if (column.decimal) {
    auto text = DecimalOf(*found->second, column.decimal->scale);
    if (text) return Value::String(std::move(*text));
  } else {
    auto value = Value::FromText(*column.held, *found->second);
    if (value) return value;
  }
  return Fail(base::Error(ErrorCode::kCorruption,
                          fmt::format("partition value `{}` is no {}", *found->second, column.type))
                  .With("column", column.name)
                  .With("file", file.path));
}

}  // namespace headrace::tables::delta
