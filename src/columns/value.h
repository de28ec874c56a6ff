#pragma once
// One value of any type, or null: for single rows, keys, answers and errors; never on a columnar
// path.

#include <bit>
#include <concepts>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "columns/type.h"

namespace headrace::columns {

// Null, a bool, an integer (also dates and timestamps), a float, a text (also bytes) or a list, in
// 16 bytes: texts and lists are on the heap, so that an answer's numbers lie side by side and cost
// nothing to move or to let go of. The type is carried beside it, as a date and an int32 are held
// alike. One that was moved from may hold anything, also the text that the other one had.
class Value {
 public:
  using Elements = std::vector<Value>;

  Value() = default;  // null of no particular type
  static Value Null(Type type) { return Value(type, Kind::kNull, {.integer = 0}); }
  static Value Bool(bool v) { return Value(Type::kBool, v); }
  static Value Int64(int64_t v) { return Value(Type::kInt64, v); }
  static Value Float64(double v) { return Value(Type::kFloat64, v); }
  static Value String(std::string v) { return Value(Type::kString, std::move(v)); }
  static Value Timestamp(int64_t us) { return Value(Type::kTimestamp, us); }
  // Of values of type `element`, none of them null.
  static Value List(Type element, Elements elements);
  Value(Type type, std::same_as<bool> auto v) : Value(type, Kind::kBool, {.integer = v}) {}
  Value(Type type, std::same_as<int64_t> auto v) : Value(type, Kind::kInt, {.integer = v}) {}
  Value(Type type, std::same_as<double> auto v) : Value(type, Kind::kDouble, {.number = v}) {}
  Value(Type type, std::string v);

  Value(const Value& other)
      : type_(other.type_),
        kind_(other.kind_),
        held_(other.is_on_heap() ? other.CopyOnHeap() : other.held_) {}
  Value(Value&& other) noexcept
      : type_(other.type_), kind_(std::exchange(other.kind_, Kind::kNull)), held_(other.held_) {}
  Value& operator=(const Value& other) {
    if (is_on_heap() || other.is_on_heap()) return *this = Value(other);
    type_ = other.type_;
    kind_ = other.kind_;
    held_ = other.held_;
    return *this;
  }
  Value& operator=(Value&& other) noexcept {
    std::swap(type_, other.type_);
    std::swap(kind_, other.kind_);
    std::swap(held_, other.held_);
    return *this;
  }
  ~Value() {
    if (is_on_heap()) FreeHeap();
  }

  Type type() const { return type_; }
  bool is_null() const { return kind_ == Kind::kNull; }
  bool as_bool() const { return HeldAs(Kind::kBool).integer != 0; }
  // kInt32, kInt64, kDate, kTimestamp*
  int64_t as_int() const { return HeldAs(Kind::kInt).integer; }
  double as_double() const { return HeldAs(Kind::kDouble).number; }  // kFloat32, kFloat64
  const std::string& as_text() const { return *HeldAs(Kind::kText).text; }
  const Elements& as_list() const { return *HeldAs(Kind::kList).list; }

  // Same type and same bits (NaN equals the same NaN, 0.0 differs from -0.0).
  bool SameBits(const Value& other) const {
    if (type_ != other.type_ || kind_ != other.kind_) return false;
    if (is_on_heap()) return IsSameOnHeap(other);
    return is_null() || std::bit_cast<uint64_t>(held_) == std::bit_cast<uint64_t>(other.held_);
  }

  // JSON as in the type table: numbers, "text", RFC 3339 times, base64 bytes,
  // "NaN"/"Infinity"/"-Infinity", null, [lists]. Doubles are printed with the fewest digits that
  // read back to the same bits.
  std::string ToJson() const;
  void AppendJson(std::string& out) const;

  // Reads command-line text ("AA", "120", "2001-01-01T00:00:00Z") as a value of `type`, no list.
  // Errors: kInvalidInput that says what the type wants.
  static base::Result<Value> FromText(Type type, std::string_view text);

 private:
  enum class Kind : uint8_t { kNull, kBool, kInt, kDouble, kText, kList };
  union Held {
    int64_t integer;
    double number;
    std::string* text;  // owned, as is the list
    Elements* list;
  };

  Value(Type type, Kind kind, Held held) : type_(type), kind_(kind), held_(held) {}
  bool is_on_heap() const { return kind_ >= Kind::kText; }
  const Held& HeldAs(Kind kind) const {
    HR_CHECK(kind_ == kind, "a value is asked for what it is not");
    return held_;
  }
  Held CopyOnHeap() const;
  bool IsSameOnHeap(const Value& other) const;  // of the same kind
  void FreeHeap();

  Type type_ = Type::kInt64;
  Kind kind_ = Kind::kNull;
  Held held_ = {.integer = 0};
};
static_assert(sizeof(Value) == 16);

// Appends a finite number with the fewest digits that read back to the same bits: "12", "0.1",
// "1e+20".
void AppendShortest(std::string& out, double v);

// Appends `text` as a JSON string with quotes; control characters and invalid UTF-8 are escaped
// (invalid bytes as U+FFFD).
void AppendJsonString(std::string& out, std::string_view text);

}  // namespace headrace::columns
