#include "tables/parquet/julian_times.h"

#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>
#include <parquet/metadata.h>

#include <optional>
#include <string>

namespace headrace::tables {
namespace {

using columns::Type;

constexpr int64_t kGregorianDay = -141'427;  // 1582-10-15
constexpr int64_t kUsPerDay = 86'400'000'000;
constexpr int64_t k1900Us = -2'208'988'800'000'000;

// The first value of a type that is the same in both; nothing for types that are no time.
std::optional<int64_t> FirstAlike(Type type) {
  switch (type) {
    case Type::kDate: return kGregorianDay;
    case Type::kTimestampNtz: return kGregorianDay * kUsPerDay;
    case Type::kTimestamp: return k1900Us;
    default: return std::nullopt;
  }
}

bool HasEarlier(const columns::Column& column, int64_t first) {
  const bool date = column.type() == Type::kDate;
  for (size_t row = 0; row < column.length(); ++row) {
    const int64_t value = date ? column.Int32s()[row] : column.Int64s()[row];
    if (value < first && !column.IsNull(row)) return true;
  }
  return false;
}

}  // namespace

bool HasJulianTimes(const parquet::FileMetaData& file) {
  const auto& pairs = file.key_value_metadata();
  if (pairs == nullptr) return false;
  if (pairs->Contains("org.apache.spark.legacyDateTime") ||
      pairs->Contains("org.apache.spark.legacyINT96"))
    return true;
  const std::string version = pairs->Get("org.apache.spark.version").ValueOr("");
  return version.starts_with("1.") || version.starts_with("2.");
}

base::Result<void> CheckNotJulian(const columns::ColumnBatch& rows) {
  for (size_t i = 0; i < rows.columns().size(); ++i) {
    const columns::Field& field = rows.schema()->field(i);
    const auto first = FirstAlike(field.type);
    if (!first || !HasEarlier(rows.column(i), *first)) continue;
    return base::Fail(
        base::Error(
            base::ErrorCode::kUnsupported,
            fmt::format("Spark wrote this file's dates before 1582-10-15, and times before "
                        "1900, by the Julian calendar, and column `{}` has such: let Spark "
                        "write it anew with spark.sql.parquet.datetimeRebaseModeInWrite and "
                        "int96RebaseModeInWrite = CORRECTED",
                        field.name))
            .With("column", field.name));
  }
  return {};
}

}  // namespace headrace::tables
