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

constexpr std::array kLists = {
    TypeRow{ListOf(Type::kBool), "list<bool>", 0, "list<bool>", "LIST", "array", "[true]",
            "BOOL_LIST"},
    TypeRow{ListOf(Type::kInt32), "list<int32>", 0, "list<int32>", "LIST", "array", "[12]",
            "INT32_LIST"},
    TypeRow{ListOf(Type::kInt64), "list<int64>", 0, "list<int64>", "LIST", "array", "[12]",
            "INT64_LIST"},
    TypeRow{ListOf(Type::kFloat32), "list<float32>", 0, "list<float>", "LIST", "array", "[1.5]",
            "FLOAT_LIST"},
    TypeRow{ListOf(Type::kFloat64), "list<float64>", 0, "list<double>", "LIST", "array", "[1.5]",
            "DOUBLE_LIST"},
    TypeRow{ListOf(Type::kString), "list<string>", 0, "list<utf8>", "LIST", "array", "[\"text\"]",
            "STRING_LIST"},
    TypeRow{ListOf(Type::kBytes), "list<bytes>", 0, "list<binary>", "LIST", "array", "[base64]",
            "BYTES_LIST"},
    TypeRow{ListOf(Type::kDate), "list<date>", 0, "list<date32>", "LIST", "array",
            "[\"2001-01-31\"]", "STRING_LIST"},
    TypeRow{ListOf(Type::kTimestamp), "list<timestamp>", 0, "list<timestamp[us, UTC]>", "LIST",
            "array", "[\"2001-01-31T09:15:00Z\"]", "UNIX_TIMESTAMP_LIST"},
    TypeRow{ListOf(Type::kTimestampNtz), "list<timestamp_ntz>", 0, "list<timestamp[us]>", "LIST",
            "array", "[\"2001-01-31T09:15:00\"]", "STRING_LIST"},
};
static_assert(kLists.size() == kTypes.size());

}  // namespace

std::span<const TypeRow> TypeTable() { return kTypes; }

const TypeRow& RowOf(Type type) {
  const auto& rows = IsList(type) ? kLists : kTypes;
  const size_t index = static_cast<size_t>(IsList(type) ? ElementOf(type) : type) - 1;
  HR_CHECK(index < rows.size() && rows[index].type == type, "type table out of order");
  return rows[index];
}

std::string_view NameOf(Type type) { return RowOf(type).name; }

std::optional<Type> TypeNamed(std::string_view name) {
  for (const TypeRow& row : kTypes)
    if (row.name == name) return row.type;
  return std::nullopt;
}

}  // namespace headrace::columns
