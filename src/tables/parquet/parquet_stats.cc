#include "tables/parquet/parquet_stats.h"

#include <parquet/metadata.h>
#include <parquet/statistics.h>
#include <parquet/types.h>

#include <string>
#include <utility>

namespace headrace::tables {
namespace {

using columns::Type;
using columns::Value;

std::string TextOf(const parquet::ByteArray& bytes) {
  return {reinterpret_cast<const char*>(bytes.ptr), bytes.len};
}

template <typename Physical>
auto Bounds(const parquet::Statistics& stats) {
  const auto& typed = static_cast<const parquet::TypedStatistics<Physical>&>(stats);
  return std::pair(typed.min(), typed.max());
}

bool HasBounds(Type type) {
  return type != Type::kBool && type != Type::kBytes && !columns::IsList(type);
}

// The bounds of one row group as values.
std::pair<Value, Value> BoundsAsValues(const parquet::Statistics& stats, Type type) {
  const auto ints = [type](auto bounds) {
    return std::pair(Value(type, int64_t{bounds.first}), Value(type, int64_t{bounds.second}));
  };
  const auto floats = [type](auto bounds) {
    return std::pair(Value(type, double{bounds.first}), Value(type, double{bounds.second}));
  };
  switch (type) {
    case Type::kInt32:
    case Type::kDate: return ints(Bounds<parquet::Int32Type>(stats));
    case Type::kInt64:
    case Type::kTimestamp:
    case Type::kTimestampNtz: return ints(Bounds<parquet::Int64Type>(stats));
    case Type::kFloat32: return floats(Bounds<parquet::FloatType>(stats));
    case Type::kFloat64: return floats(Bounds<parquet::DoubleType>(stats));
    case Type::kString: {
      const auto [min, max] = Bounds<parquet::ByteArrayType>(stats);
      return std::pair(Value::String(TextOf(min)), Value::String(TextOf(max)));
    }
    default: HR_CHECK(false, "a type without bounds");
  }
}

// Both of one type.
bool Less(const Value& a, const Value& b) {
  switch (a.type()) {
    case Type::kString: return a.as_text() < b.as_text();
    case Type::kFloat32:
    case Type::kFloat64: return a.as_double() < b.as_double();
    default: return a.as_int() < b.as_int();
  }
}

ColumnStats StatsOfColumn(const parquet::FileMetaData& file, int column, Type type) {
  ColumnStats all;
  bool told = true;
  for (int group = 0; group < file.num_row_groups(); ++group) {
    const auto chunk = file.RowGroup(group)->ColumnChunk(column);
    const auto stats = chunk->statistics();
    if (stats == nullptr) return {};
    all.nulls += static_cast<uint64_t>(stats->null_count());
    if (stats->null_count() == chunk->num_values()) continue;
    told = told && stats->HasMinMax() && HasBounds(type);
    if (!told) continue;
    auto [min, max] = BoundsAsValues(*stats, type);
    if (!all.bounded || Less(min, all.min)) all.min = std::move(min);
    if (!all.bounded || Less(all.max, max)) all.max = std::move(max);
    all.bounded = true;
  }
  all.bounded = all.bounded && told;
  return all;
}

}  // namespace

std::vector<ColumnStats> StatsOfFile(const parquet::FileMetaData& file,
                                     const columns::Schema& schema) {
  std::vector<ColumnStats> stats;
  for (size_t i = 0; i < schema.size(); ++i)
    stats.push_back(StatsOfColumn(file, static_cast<int>(i), schema.field(i).type));
  return stats;
}

}  // namespace headrace::tables
