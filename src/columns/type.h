#pragma once
// What a field can hold. One table (TypeTable) gives each type's name, width and spelling
// elsewhere.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace headrace::columns {

// The numbers are on disk: never change or reuse one. 12 to 15 are kept for decimal, struct, map
// and vector, which this version names in errors but does not hold. A list of values of a type has
// the type's number plus 64 (ListOf): it is no enumerator, as a list is only held by answers and
// training sets, never by an event's field, a key or the log; what can't hold one says so.
enum class Type : uint8_t {
  kBool = 1,
  kInt32 = 2,
  kInt64 = 3,
  kFloat32 = 4,
  kFloat64 = 5,
  kString = 6,  // UTF-8
  kBytes = 7,
  kDate = 8,           // days since 1970-01-01, int32
  kTimestamp = 9,      // microseconds since 1970-01-01T00:00:00Z, int64
  kTimestampNtz = 10,  // microseconds of a wall clock without a zone, int64
};

constexpr uint8_t kListNumber = 64;
constexpr bool IsList(Type type) { return static_cast<uint8_t>(type) > kListNumber; }
// Of a type that is no list.
constexpr Type ListOf(Type element) {
  return static_cast<Type>(static_cast<uint8_t>(element) + kListNumber);
}
constexpr Type ElementOf(Type list) {
  return static_cast<Type>(static_cast<uint8_t>(list) - kListNumber);
}

// One row of the type table; docs/reference/types.md is generated from it.
struct TypeRow {
  Type type;
  std::string_view name;  // in pipeline files and errors: "int64"
  uint8_t width;  // bytes a value; 0: one bit (bool) or variable (string, bytes), see IsVariable
  std::string_view arrow;    // "int64"
  std::string_view parquet;  // "INT64"
  std::string_view delta;    // "long"
  std::string_view json;     // how a value looks in JSON
  std::string_view feast;    // ValueType name
};

// What a field can hold: no lists.
std::span<const TypeRow> TypeTable();
// Also of a list.
const TypeRow& RowOf(Type type);
std::string_view NameOf(Type type);
// Of a field's type. Nothing for an unknown name.
std::optional<Type> TypeNamed(std::string_view name);

constexpr bool IsVariable(Type type) { return type == Type::kString || type == Type::kBytes; }
constexpr bool IsInteger(Type type) { return type == Type::kInt32 || type == Type::kInt64; }
constexpr bool IsFloating(Type type) { return type == Type::kFloat32 || type == Type::kFloat64; }
constexpr bool IsNumeric(Type type) { return IsInteger(type) || IsFloating(type); }

}  // namespace headrace::columns
