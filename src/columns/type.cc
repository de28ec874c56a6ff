#include "columns/type.h"

#include <array>

#include "base/result.h"

namespace headrace::columns {
namespace {

constexpr std::array kTypes = {
    TypeRow{Type::kBool, "bool", 0, "bool", "BOOLEAN", "boolean", "true", "BOOL"},
    TypeRow{Type::kInt32, "int32", 4, "int32", "INT32", "integer", "12", "INT32"},
    TypeRow{Type::kInt64, "int64", 8, "int64", "INT64", "long", "12", "INT64"},
    TypeRow{Type::kFloat32, "float32", 4, "float", "FLOAT", "float", "1.5", "FLOAT"},
    TypeRow{Type::kFloat64, "float64", 8, "double", "DOUBLE", "double", "1.5", "DOUBLE"},
    TypeRow{Type::kString, "string", 0, "utf8", "BYTE_ARRAY (STRING)", "string", "\"text\"",
            "STRING"},
    TypeRow{Type::kBytes, "bytes", 0, "binary", "BYTE_ARRAY", "binary", "base64", "BYTES"},
    TypeRow{Type::kDate, "date", 4, "date32", "INT32 (DATE)", "date", "\"2001-01-31\"", "STRING"},
    TypeRow{Type::kTimestamp, "timestamp", 8, "timestamp[us, UTC]", "INT64 (TIMESTAMP, UTC, us)",
            "timestamp", "\"2001-01-31T09:15:00Z\"", "UNIX_TIMESTAMP"},
    TypeRow{Type::kTimestampNtz, "timestamp_ntz", 8, "timestamp[us]",
            "INT64 (TIMESTAMP, local, us)", "timestamp_ntz", "\"2001-01-31T09:15:00\"", "STRING"},
};

}  // namespace

std::span<const TypeRow> TypeTable() { return kTypes; }

const TypeRow& RowOf(Type type) {
  const size_t index = static_cast<size_t>(type) - 1;
  HR_CHECK(index < kTypes.size() && kTypes[index].type == type, "type table out of order");
  return kTypes[index];
}

std::string_view NameOf(Type type) { return RowOf(type).name; }

std::optional<Type> TypeNamed(std::string_view name) {
  for (const TypeRow& row : kTypes)
    if (row.name == name) return row.type;
  return std::nullopt;
}

}  // namespace headrace::columns
