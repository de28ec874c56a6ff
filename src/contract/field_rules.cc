#include "contract/field_rules.h"

#include <fmt/format.h>
#include <re2/re2.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <bit>

#include "base/base64.h"
#include "base/hash.h"
#include "contract/diagnostic.h"

namespace headrace::contract {

using columns::Column;
using columns::Type;
using columns::Value;

constexpr size_t kCodePointBytesMax = 4;

size_t LengthInCodePoints(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

namespace {

bool StartsInsideCodePoint(std::string_view text) {
  return !text.empty() && (static_cast<unsigned char>(text[0]) & 0xC0) == 0x80;
}

bool ValidUtf8(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

// All rows at once: the joined bytes are valid and no row begins inside a code point, so each row
// is valid.
bool AllValidUtf8(const Column& column) {
  if (column.length() == 0) return true;
  const auto offsets = column.offsets().as<int32_t>();
  const char* bytes = reinterpret_cast<const char*>(column.values().data());
  const auto begin = static_cast<size_t>(offsets[0]);
  const auto end = static_cast<size_t>(offsets[column.length()]);
  if (begin == end) return true;
  if (!simdjson::validate_utf8(bytes + begin, end - begin)) return false;
  bool bad = false;
  for (size_t row = 0; row < column.length(); ++row) {
    const auto at = static_cast<size_t>(offsets[row]);
    if (at < end)
      bad |= (static_cast<unsigned char>(bytes[at]) & 0xC0) == 0x80 &&
             offsets[row] != offsets[row + 1];
  }
  return !bad;
}

bool AnyNull(const Column& column) {
  if (!column.has_nulls()) return false;
  const uint8_t* bits = column.validity().data();
  const size_t whole = column.length() / 8;
  for (size_t i = 0; i < whole; ++i)
    if (bits[i] != 0xFF) return true;
  for (size_t row = whole * 8; row < column.length(); ++row)
    if (column.IsNull(row)) return true;
  return false;
}

template <typename T>
bool AllInside(std::span<const T> values, const IntegerBounds& bounds) {
  bool outside = false;
  for (const T value : values) outside |= (value < bounds.minimum) | (value > bounds.maximum);
  if (outside) return false;
  if (bounds.multiple_of == 1) return true;
  return std::all_of(values.begin(), values.end(),
                     [&](T value) { return value % bounds.multiple_of == 0; });
}

// Texts seen a moment ago, so that a pattern runs once for each of a handful of values.
class RecentTexts {
 public:
  bool Seen(std::string_view text) const { return slots_[SlotOf(text)] == text && !text.empty(); }
  void Remember(std::string_view text) { slots_[SlotOf(text)] = text; }

 private:
  static constexpr size_t kSlots = 256;
  static size_t SlotOf(std::string_view text) { return base::Hash64(text) & (kSlots - 1); }
  std::array<std::string_view, kSlots> slots_{};
};

bool AllTextsPass(const FieldRules& rules, const Column& column) {
  if (rules.type == Type::kString && !AllValidUtf8(column)) return false;
  const bool lengths_or_pattern = rules.length.any() || !rules.patterns.empty();
  if (!rules.texts
           .empty()) {  // every listed value keeps the other rules: the parser has seen to it
    for (size_t row = 0; row < column.length(); ++row)
      if (!rules.texts.Contains(column.Text(row))) return false;
    return true;
  }
  if (!lengths_or_pattern) return true;
  RecentTexts recent;
  for (size_t row = 0; row < column.length(); ++row) {
    const std::string_view text = column.Text(row);
    if (recent.Seen(text)) continue;
    if (!rules.TextPasses(text)) return false;
    recent.Remember(text);
  }
  return true;
}

bool AllFloatsPass(const FieldRules& rules, const Column& column) {
  if (!rules.floats.any()) return true;
  for (size_t row = 0; row < column.length(); ++row)
    if (!rules.FloatPasses(rules.type == Type::kFloat32 ? column.Float32s()[row]
                                                        : column.Float64s()[row]))
      return false;
  return true;
}

}  // namespace

const RE2* FieldRules::PatternBrokenBy(std::string_view text) const {
  for (const auto& pattern : patterns)
    if (!RE2::FullMatch(re2::StringPiece(text.data(), text.size()), *pattern)) return pattern.get();
  return nullptr;
}

bool FieldRules::TextPasses(std::string_view text) const {
  if (length.any()) {
    // A code point has 1 to 4 bytes: mostly that decides.
    const size_t least = type == Type::kString ? text.size() / kCodePointBytesMax : text.size();
    if (least < length.minimum || text.size() > length.maximum) {
      const size_t n = type == Type::kString ? LengthInCodePoints(text) : text.size();
      if (n < length.minimum || n > length.maximum) return false;
    }
  }
  if (PatternBrokenBy(text) != nullptr) return false;
  return texts.empty() || texts.Contains(text);
}

bool FieldRules::IntegerPasses(int64_t value) const {
  if (value < integers.minimum || value > integers.maximum || value % integers.multiple_of != 0)
    return false;
  return numbers.empty() || std::binary_search(numbers.begin(), numbers.end(), value);
}

bool FieldRules::FloatPasses(double value) const {
  if (!floats.any()) return true;
  const bool above = floats.minimum_excluded ? value > floats.minimum : value >= floats.minimum;
  const bool below = floats.maximum_excluded ? value < floats.maximum : value <= floats.maximum;
  return above && below;  // false for NaN
}

bool FieldRules::AllPass(const Column& column) const {
  if (AnyNull(column)) {
    if (required) return false;
    for (size_t row = 0; row < column.length(); ++row)
      if (!Passes(column, row)) return false;
    return true;
  }
  switch (type) {
    case Type::kBool: return true;
    case Type::kInt32:
    case Type::kDate:
      if (!numbers.empty()) break;
      return !integers.any() || AllInside(column.Int32s().first(column.length()), integers);
    case Type::kInt64:
    case Type::kTimestamp:
    case Type::kTimestampNtz:
      if (!numbers.empty()) break;
      return !integers.any() || AllInside(column.Int64s().first(column.length()), integers);
    case Type::kFloat32:
    case Type::kFloat64: return AllFloatsPass(*this, column);
    case Type::kString:
    case Type::kBytes: return AllTextsPass(*this, column);
  }
  for (size_t row = 0; row < column.length(); ++row)
    if (!Passes(column, row)) return false;
  return true;
}

bool FieldRules::Passes(const Column& column, size_t row) const {
  if (column.IsNull(row)) return !required;
  switch (type) {
    case Type::kBool: return true;
    case Type::kInt32:
    case Type::kDate: return IntegerPasses(column.Int32s()[row]);
    case Type::kInt64:
    case Type::kTimestamp:
    case Type::kTimestampNtz: return IntegerPasses(column.Int64s()[row]);
    case Type::kFloat32: return FloatPasses(column.Float32s()[row]);
    case Type::kFloat64: return FloatPasses(column.Float64s()[row]);
    case Type::kBytes: return TextPasses(column.Text(row));
    case Type::kString: {
      const std::string_view text = column.Text(row);
      if (!texts.empty()) return texts.Contains(text);
      return ValidUtf8(text) && !StartsInsideCodePoint(text) && TextPasses(text);
    }
  }
  return true;
}

namespace {

constexpr size_t kShownMax = 60;        // bytes of a value in a reason
constexpr size_t kValuesListedMax = 8;  // values of an enumeration in a reason

std::string Show(const FieldRules& rules, const Value& value) {
  if (rules.restricted) return "***";
  std::string json = value.ToJson();
  if (json.size() <= kShownMax) return json;
  size_t cut = kShownMax;
  while (cut > 0 && (static_cast<unsigned char>(json[cut]) & 0xC0) == 0x80) --cut;
  return json.substr(0, cut) + "...";
}

std::string Show(Type type, int64_t value) { return Value(type, value).ToJson(); }

// The bound in the fewest digits that read back as it: 0.3 of a float32.
std::string ShowBound(Type type, double bound) {
  return type == Type::kFloat32 ? fmt::format("{}", static_cast<float>(bound))
                                : fmt::format("{}", bound);
}

std::string Base64(std::string_view bytes) {
  std::string text;
  base::AppendBase64(text, bytes);
  return text;
}

// "one of: paid, open" or "one of the 247 values that it lists, as SEA or SFO".
std::string Listed(std::string_view text, const std::vector<std::string>& values, bool may_show) {
  if (values.size() <= kValuesListedMax) return fmt::format("one of: {}", fmt::join(values, ", "));
  const auto near = may_show ? NearestNames(text, values) : std::vector<std::string>{};
  if (near.empty()) return fmt::format("one of the {} values that it lists", values.size());
  return fmt::format("one of the {} values that it lists, as {}", values.size(),
                     fmt::join(near, " or "));
}

}  // namespace

RuleFailure FieldRules::Explain(const Column& column, size_t row) const {
  if (column.IsNull(row))
    return {"required", fmt::format("{} is missing; the contract requires it", name)};
  const Value value = column.At(row);
  const std::string shown = Show(*this, value);
  if (columns::IsVariable(type)) return ExplainText(column.Text(row), shown);
  if (columns::IsFloating(type)) return ExplainFloat(value.as_double(), shown);
  return ExplainInteger(value.as_int(), shown);
}

RuleFailure FieldRules::ExplainText(std::string_view text, const std::string& shown) const {
  if (type == Type::kString && !ValidUtf8(text))
    return {"type", fmt::format("{} is not UTF-8; send it as UTF-8 text", name)};
  const size_t n = type == Type::kString ? LengthInCodePoints(text) : text.size();
  const std::string_view unit = type == Type::kString ? "characters" : "bytes";
  if (n < length.minimum)
    return {"length", fmt::format("{} is {}, {} {}; the contract wants at least {}", name, shown, n,
                                  unit, length.minimum)};
  if (n > length.maximum)
    return {"length", fmt::format("{} is {}, {} {}; the contract wants at most {}", name, shown, n,
                                  unit, length.maximum)};
  if (const RE2* pattern = PatternBrokenBy(text))
    return {"pattern", fmt::format("{} is {}; the contract wants text like {}", name, shown,
                                   pattern->pattern())};
  std::string listed;
  if (type == Type::kBytes) {
    std::vector<std::string> values;
    for (const std::string& value : texts.values()) values.push_back(Base64(value));
    listed = Listed(Base64(text), values, !restricted);
  } else {
    listed = Listed(text, texts.values(), !restricted);
  }
  return {"enum", fmt::format("{} is {}; the contract wants {}", name, shown, listed)};
}

RuleFailure FieldRules::ExplainInteger(int64_t value, const std::string& shown) const {
  if (value < integers.minimum)
    return {"range", fmt::format("{} is {}; the contract wants at least {}", name, shown,
                                 Show(type, integers.minimum))};
  if (value > integers.maximum)
    return {"range", fmt::format("{} is {}; the contract wants at most {}", name, shown,
                                 Show(type, integers.maximum))};
  if (value % integers.multiple_of != 0)
    return {"multiple", fmt::format("{} is {}; the contract wants a multiple of {}", name, shown,
                                    integers.multiple_of)};
  std::vector<std::string> values;
  for (const int64_t allowed : numbers) values.push_back(Show(type, allowed));
  return {"enum",
          fmt::format("{} is {}; the contract wants {}", name, shown, Listed({}, values, false))};
}

RuleFailure FieldRules::ExplainFloat(double value, const std::string& shown) const {
  const bool low = floats.minimum_excluded ? value <= floats.minimum : value < floats.minimum;
  if (low)
    return {"range", fmt::format("{} is {}; the contract wants {} {}", name, shown,
                                 floats.minimum_excluded ? "more than" : "at least",
                                 ShowBound(type, floats.minimum))};
  const bool high = floats.maximum_excluded ? value >= floats.maximum : value > floats.maximum;
  if (high)
    return {"range", fmt::format("{} is {}; the contract wants {} {}", name, shown,
                                 floats.maximum_excluded ? "less than" : "at most",
                                 ShowBound(type, floats.maximum))};
  return {"range",
          fmt::format("{} is not a number; the contract wants one within its bounds", name)};
}

}  // namespace headrace::contract
