#include "tables/parquet/julian_times.h"

#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>
#include <parquet/metadata.h>
#include <parquet/schema.h>

#include <optional>
#include <string>

namespace headrace::tables {
namespace {

using columns::Type;

constexpr int64_t kGregorianDay = -141'427;  // 1582-10-15
constexpr int64_t k1900Us = -2'208'988'800'000'000;

// The first value of a type that is the same in both; nothing for types that are not Julian.
std::optional<int64_t> FirstAlike(JulianTimes julian, Type type) {
  if (type == Type::kDate && julian.dates) return kGregorianDay;
  if (type == Type::kTimestamp && julian.timestamps) return k1900Us;
  return std::nullopt;
}

bool HasEarlier(const columns::Column& column, int64_t first) {
  const bool date = column.type() == Type::kDate;
  for (size_t row = 0; row < column.length(); ++row) {
    const int64_t value = date ? column.Int32s()[row] : column.Int64s()[row];
    if (value < first && !column.IsNull(row)) return true;
  }
  return false;
}

bool HasInt96(const parquet::SchemaDescriptor& schema) {
  for (int i = 0; i < schema.num_columns(); ++i)
    if (schema.Column(i)->physical_type() == parquet::Type::INT96) return true;
  return false;
}

}  // namespace

// As Spark's reader decides (DataSourceUtils): it wrote dates and timestamps by the Julian calendar
// before version 3.0, those of type INT96 before 3.1.
JulianTimes JulianTimesOf(const parquet::FileMetaData& file) {
  const auto& pairs = file.key_value_metadata();
  if (pairs == nullptr) return {};
  const std::string version = pairs->Get("org.apache.spark.version").ValueOr("");
  const bool before_3 = version.starts_with("1.") || version.starts_with("2.");
  const bool dates = before_3 || pairs->Contains("org.apache.spark.legacyDateTime");
  const bool int96 =
      before_3 || version.starts_with("3.0.") || pairs->Contains("org.apache.spark.legacyINT96");
  return {.dates = dates, .timestamps = dates || (int96 && HasInt96(*file.schema()))};
}

base::Result<void> CheckNotJulian(JulianTimes julian, const columns::ColumnBatch& rows) {
  for (size_t i = 0; i < rows.columns().size(); ++i) {
    const columns::Field& field = rows.schema()->field(i);
    const auto first = FirstAlike(julian, field.type);
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
