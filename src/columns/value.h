#pragma once
// One value of any type, or null: for single rows, keys, answers and errors; never on a columnar
// path.

#include <compare>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "columns/type.h"

namespace headrace::columns {

// The alternatives: null, bool, integers (also date and timestamps), floats, text (also bytes), a
// list. The type is carried beside it, as a date and an int32 share a C++ type.
class Value {
 public:
  using Elements = std::vector<Value>;
  using Payload = std::variant<std::monostate, bool, int64_t, double, std::string, Elements>;

  Value() = default;  // null of no particular type
  static Value Null(Type type) { return Value(type, std::monostate{}); }
  static Value Bool(bool v) { return Value(Type::kBool, v); }
  static Value Int64(int64_t v) { return Value(Type::kInt64, v); }
  static Value Float64(double v) { return Value(Type::kFloat64, v); }
  static Value String(std::string v) { return Value(Type::kString, std::move(v)); }
  static Value Timestamp(int64_t us) { return Value(Type::kTimestamp, us); }
  // Of values of type `element`, none of them null.
  static Value List(Type element, Elements elements) {
    return Value(ListOf(element), std::move(elements));
  }
  Value(Type type, Payload payload) : type_(type), payload_(std::move(payload)) {}

  Type type() const { return type_; }
  bool is_null() const { return std::holds_alternative<std::monostate>(payload_); }
  bool as_bool() const { return std::get<bool>(payload_); }
  int64_t as_int() const {
    return std::get<int64_t>(payload_);
  }  // kInt32, kInt64, kDate, kTimestamp*
  double as_double() const { return std::get<double>(payload_); }  // kFloat32, kFloat64
  const std::string& as_text() const { return std::get<std::string>(payload_); }
  const Elements& as_list() const { return std::get<Elements>(payload_); }

  // Same type and same bits (NaN equals the same NaN, 0.0 differs from -0.0).
  bool SameBits(const Value& other) const;

  // JSON as in the type table: numbers, "text", RFC 3339 times, base64 bytes,
  // "NaN"/"Infinity"/"-Infinity", null, [lists]. Doubles are printed with the fewest digits that
  // read back to the same bits.
  std::string ToJson() const;
  void AppendJson(std::string& out) const;

  // Reads command-line text ("AA", "120", "2001-01-01T00:00:00Z") as a value of `type`, no list.
  // Errors: kInvalidInput that says what the type wants.
  static base::Result<Value> FromText(Type type, std::string_view text);

 private:
  Type type_ = Type::kInt64;
  Payload payload_;
};

// Appends a finite number with the fewest digits that read back to the same bits: "12", "0.1",
// "1e+20".
void AppendShortest(std::string& out, double v);

// Appends `text` as a JSON string with quotes; control characters and invalid UTF-8 are escaped
// (invalid bytes as U+FFFD).
void AppendJsonString(std::string& out, std::string_view text);

}  // namespace headrace::columns
