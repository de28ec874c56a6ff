#include "contract/rule_parser.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>

#include "base/base64.h"
#include "columns/value.h"
#include "contract/yaml_reading.h"

namespace headrace::contract {
namespace {

using columns::Type;

constexpr size_t kEnumerationMax = 100'000;

// Reads the rules of one field; every complaint names it.
class RuleParser {
 public:
  RuleParser(FieldRules& rules, DiagnosticReport& report) : rules_(rules), report_(report) {}

  void Options(const YamlNode& options);
  // ODCS 3.2: enum: [{value: paid}, ...]; a bare value is taken as well. `rule`: enum, validValues.
  void Enumeration(const YamlNode& list, std::string_view rule);
  void Quality(const YamlNode& list);
  void Finish(const YamlNode& property);

 private:
  void Option(const YamlNode& key, const YamlNode& value);
  void Bound(const YamlNode& key, const YamlNode& value);
  void Format(const YamlNode& value);
  void DefaultTimezone(const YamlNode& value);
  void IntegerBound(std::string_view name, const YamlNode& value);
  void FloatBound(std::string_view name, const YamlNode& value);
  void Length(std::string_view name, const YamlNode& value);
  void Pattern(const YamlNode& value);
  void MultipleOf(const YamlNode& value);
  void Check(const YamlNode& check);
  void LibraryCheck(const YamlNode& check, const std::string& metric);
  void InvalidValues(const YamlNode& arguments);
  void AllowValue(const YamlNode& value, std::string_view rule);
  void AllowText(const YamlNode& value, std::string_view rule);
  void NotEnforced(const YamlNode& at, std::string_view what);
  void RoundFloat32Bounds();
  void CheckBounds(const YamlNode& property);
  void CheckEnumeration();
  void KeepEnumeration();

  bool integral() const {
    return !columns::IsVariable(rules_.type) && !columns::IsFloating(rules_.type) &&
           rules_.type != Type::kBool;
  }
  bool whole_number() const { return columns::IsInteger(rules_.type); }
  std::string What(std::string_view rule) const {
    return fmt::format("field {}: `{}`", rules_.name, rule);
  }
  std::optional<int64_t> IntegralValue(const YamlNode& value, std::string_view rule);
  void Unfit(const YamlNode& at, std::string_view rule);

  FieldRules& rules_;
  DiagnosticReport& report_;
  struct ListedText {
    std::string value;
    std::string written;  // in the contract
    Place place;
  };
  struct ListedNumber {
    int64_t value = 0;
    Place place;
  };
  // An `enum`, or the `validValues` of a check. What comes must be in each.
  struct List {
    Place place;
    std::vector<ListedText> texts;
    std::vector<ListedNumber> numbers;
  };
  std::vector<List> lists_;
  size_t listed_ = 0;  // values of all of them
};

// The values of every list, ascending.
template <typename T, typename Lists, typename Member>
std::vector<T> InAll(const Lists& lists, Member member) {
  std::vector<T> in_all;
  for (size_t i = 0; i < lists.size(); ++i) {
    std::vector<T> values;
    for (const auto& listed : lists[i].*member) values.push_back(listed.value);
    std::ranges::sort(values);
    values.erase(std::unique(values.begin(), values.end()), values.end());
    std::vector<T> both;
    if (i > 0) std::ranges::set_intersection(in_all, values, std::back_inserter(both));
    in_all = i > 0 ? std::move(both) : std::move(values);
  }
  return in_all;
}

void RuleParser::Unfit(const YamlNode& at, std::string_view rule) {
  report_.Error(
      DiagnosticCode::kUnknownRule, at.place,
      fmt::format("{} does not apply to type {}", What(rule), columns::NameOf(rules_.type)));
}

void RuleParser::Options(const YamlNode& options) {
  if (!ExpectMap(options, fmt::format("field {}: `logicalTypeOptions`", rules_.name), report_))
    return;
  for (size_t i = 0; i < options.items.size(); ++i) Option(options.keys[i], options.items[i]);
}

void RuleParser::Option(const YamlNode& key, const YamlNode& value) {
  static constexpr std::array<std::string_view, 4> kBounds = {
      "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"};
  if (std::find(kBounds.begin(), kBounds.end(), key.text) != kBounds.end())
    return Bound(key, value);
  if (key.text == "minLength" || key.text == "maxLength")
    return columns::IsVariable(rules_.type) ? Length(key.text, value) : Unfit(key, key.text);
  if (key.text == "pattern")
    return rules_.type == Type::kString ? Pattern(value) : Unfit(key, key.text);
  if (key.text == "multipleOf") return whole_number() ? MultipleOf(value) : Unfit(key, key.text);
  if (key.text == "format") return Format(value);
  if (key.text == "timezone") {  // the type's, read with it
    ReadBool(value, What("timezone"), report_);
    return;
  }
  if (key.text == "defaultTimezone") return DefaultTimezone(value);
  static const std::vector<std::string> kKnown = {
      "minimum",   "maximum",   "exclusiveMinimum", "exclusiveMaximum",
      "minLength", "maxLength", "pattern",          "multipleOf",
      "format",    "timezone",  "defaultTimezone"};
  report_.Error(DiagnosticCode::kUnknownRule, key.place,
                fmt::format("field {}: no rule `{}`", rules_.name, key.text),
                DidYouMean(key.text, kKnown, fmt::format("rules: {}", fmt::join(kKnown, ", "))));
}

// Of a number the type that it is to fit; formats of texts and times say how others write them.
void RuleParser::Format(const YamlNode& value) {
  struct Fits {
    std::string_view name;
    int64_t minimum;
    int64_t maximum;
  };
  static constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  static constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  static constexpr std::array<Fits, 7> kIntegers = {{{"i8", -128, 127},
                                                     {"i16", -32'768, 32'767},
                                                     {"i32", kMin, kMax},
                                                     {"i64", kMin, kMax},
                                                     {"u8", 0, 255},
                                                     {"u16", 0, 65'535},
                                                     {"u32", 0, UINT32_MAX}}};
  const bool floating = columns::IsFloating(rules_.type);
  if (!floating && !whole_number()) return;
  const auto text = ReadText(value, What("format"), report_);
  if (!text || (floating && (*text == "f32" || *text == "f64"))) return;
  const auto* fits = std::ranges::find(kIntegers, *text, &Fits::name);
  if (!floating && fits != kIntegers.end()) {
    rules_.integers.minimum = std::max(rules_.integers.minimum, fits->minimum);
    rules_.integers.maximum = std::min(rules_.integers.maximum, fits->maximum);
    return;
  }
  report_.Error(DiagnosticCode::kUnknownRule, value.place,
                fmt::format("{} is `{}`, which is none here", What("format"), *text),
                floating ? "one of: f32, f64" : "one of: i8, i16, i32, i64, u8, u16, u32");
}

void RuleParser::DefaultTimezone(const YamlNode& value) {
  const auto text = ReadText(value, What("defaultTimezone"), report_);
  if (!text || *text == "UTC" || *text == "Etc/UTC") return;
  report_.Error(
      DiagnosticCode::kUnknownRule, value.place,
      fmt::format("{} is `{}`: times without a zone are read as UTC", What("defaultTimezone"),
                  *text),
      "send times with their offset, 2001-01-31T10:15:00+01:00, or say `timezone: false`");
}

void RuleParser::Bound(const YamlNode& key, const YamlNode& value) {
  if (value.text == "true" || value.text == "false") {
    report_.Error(DiagnosticCode::kBadBound, value.place,
                  fmt::format("{} is a value, not a switch", What(key.text)),
                  "exclusiveMinimum: 0 means more than 0");
    return;
  }
  if (columns::IsFloating(rules_.type)) return FloatBound(key.text, value);
  return integral() ? IntegerBound(key.text, value) : Unfit(key, key.text);
}

std::optional<int64_t> RuleParser::IntegralValue(const YamlNode& value, std::string_view rule) {
  const auto text = ReadText(value, What(rule), report_);
  if (!text) return std::nullopt;
  if (whole_number()) {
    if (const auto number = IntegerIn(*text)) return number;
    if (const auto number = NumberIn(*text);
        number && std::trunc(*number) == *number && std::fabs(*number) < 0x1p53)
      return static_cast<int64_t>(
          *number);  // the standard writes bounds of integers as numbers: 0.0
  } else if (const auto time = columns::Value::FromText(rules_.type, *text)) {
    return time->as_int();
  }
  report_.Error(
      DiagnosticCode::kBadBound, value.place,
      fmt::format("{} is `{}`, which is no {}", What(rule), *text, columns::NameOf(rules_.type)));
  return std::nullopt;
}

void RuleParser::IntegerBound(std::string_view name, const YamlNode& value) {
  const auto bound = IntegralValue(value, name);
  if (!bound) return;
  IntegerBounds& bounds = rules_.integers;
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  if ((name == "exclusiveMinimum" && *bound == kMax) ||
      (name == "exclusiveMaximum" && *bound == kMin)) {
    report_.Error(DiagnosticCode::kRuleContradiction, value.place,
                  fmt::format("{} leaves no value", What(name)));
    return;
  }
  if (name == "minimum") bounds.minimum = std::max(bounds.minimum, *bound);
  if (name == "exclusiveMinimum") bounds.minimum = std::max(bounds.minimum, *bound + 1);
  if (name == "maximum") bounds.maximum = std::min(bounds.maximum, *bound);
  if (name == "exclusiveMaximum") bounds.maximum = std::min(bounds.maximum, *bound - 1);
}

void RuleParser::FloatBound(std::string_view name, const YamlNode& value) {
  const auto bound = ReadNumber(value, What(name), report_);
  if (!bound) return;
  FloatBounds& bounds = rules_.floats;
  const bool excluded = name.starts_with("exclusive");
  if (name == "minimum" || name == "exclusiveMinimum") {
    if (*bound > bounds.minimum || (*bound == bounds.minimum && excluded))
      bounds.minimum_excluded = excluded;
    bounds.minimum = std::max(bounds.minimum, *bound);
  } else {
    if (*bound < bounds.maximum || (*bound == bounds.maximum && excluded))
      bounds.maximum_excluded = excluded;
    bounds.maximum = std::min(bounds.maximum, *bound);
  }
}

void RuleParser::Length(std::string_view name, const YamlNode& value) {
  const auto length = ReadInteger(value, What(name), report_);
  if (!length) return;
  if (*length < 0) {
    report_.Error(DiagnosticCode::kBadBound, value.place,
                  fmt::format("{} is {}; a length is 0 or more", What(name), *length));
    return;
  }
  (name == "minLength" ? rules_.length.minimum : rules_.length.maximum) =
      static_cast<size_t>(*length);
}

void RuleParser::Pattern(const YamlNode& value) {
  const auto text = ReadText(value, What("pattern"), report_);
  if (!text) return;
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(8 << 20);
  auto pattern = std::make_shared<RE2>(*text, options);
  if (pattern->ok()) {
    rules_.patterns.push_back(std::move(pattern));
    return;
  }
  report_.Error(DiagnosticCode::kBadPattern, value.place,
                fmt::format("{}: {}", What("pattern"), pattern->error()),
                "RE2 has no look-around and no back-references");
}

void RuleParser::MultipleOf(const YamlNode& value) {
  const auto step = IntegralValue(value, "multipleOf");
  if (!step) return;
  if (*step > 0) {
    rules_.integers.multiple_of = *step;
    return;
  }
  report_.Error(DiagnosticCode::kBadBound, value.place,
                fmt::format("{} must be more than 0", What("multipleOf")));
}

void RuleParser::Enumeration(const YamlNode& list, std::string_view rule) {
  if (!ExpectList(list, What(rule), report_)) return;
  if (list.items.empty())
    report_.Error(DiagnosticCode::kRuleContradiction, list.place,
                  fmt::format("{} lists no value", What(rule)),
                  "leave it out, or list what may come");
  lists_.push_back({list.place, {}, {}});
  for (const YamlNode& item : list.items) {
    const YamlNode* value = &item;
    if (item.is_map()) value = Require(item, "value", What(rule), report_);
    if (value != nullptr) AllowValue(*value, rule);
  }
}

void RuleParser::AllowValue(const YamlNode& value, std::string_view rule) {
  if (columns::IsVariable(rules_.type)) {
    AllowText(value, rule);
  } else if (integral()) {
    const auto number = IntegralValue(value, rule);
    if (number) lists_.back().numbers.push_back({*number, value.place});
  } else {
    Unfit(value, rule);
  }
  if (++listed_ == kEnumerationMax + 1)
    report_.Error(DiagnosticCode::kTooMany, value.place,
                  fmt::format("{} lists more than {} values", What(rule), kEnumerationMax));
}

// Bytes are listed as events bring them.
void RuleParser::AllowText(const YamlNode& value, std::string_view rule) {
  auto text = ReadText(value, What(rule), report_);
  if (!text) return;
  if (rules_.type != Type::kBytes) {
    lists_.back().texts.push_back({*text, *text, value.place});
  } else if (auto bytes = base::DecodeBase64(*text)) {
    lists_.back().texts.push_back({std::move(*bytes), *std::move(text), value.place});
  } else {
    report_.Error(DiagnosticCode::kWrongValue, value.place,
                  fmt::format("{} lists `{}`, which is no base64", What(rule), *text),
                  "bytes are written as base64, as in events");
  }
}

void RuleParser::NotEnforced(const YamlNode& at, std::string_view what) {
  report_.Warning(DiagnosticCode::kRuleNotEnforced, at.place,
                  fmt::format("field {}: {} is not enforced at ingest", rules_.name, what));
}

void RuleParser::Quality(const YamlNode& list) {
  if (!ExpectList(list, What("quality"), report_)) return;
  for (const YamlNode& check : list.items)
    if (ExpectMap(check, What("quality"), report_)) Check(check);
}

void RuleParser::Check(const YamlNode& check) {
  static constexpr std::array<std::string_view, 27> kKeys = {"id",
                                                             "authoritativeDefinitions",
                                                             "businessImpact",
                                                             "customProperties",
                                                             "description",
                                                             "dimension",
                                                             "method",
                                                             "name",
                                                             "schedule",
                                                             "scheduler",
                                                             "severity",
                                                             "tags",
                                                             "type",
                                                             "unit",
                                                             "metric",
                                                             "arguments",
                                                             "mustBe",
                                                             "mustNotBe",
                                                             "mustBeGreaterThan",
                                                             "mustBeGreaterOrEqualTo",
                                                             "mustBeLessThan",
                                                             "mustBeLessOrEqualTo",
                                                             "mustBeBetween",
                                                             "mustNotBeBetween",
                                                             "query",
                                                             "engine",
                                                             "implementation"};
  ExpectKeys(check, kKeys, fmt::format("field {}: quality", rules_.name), report_);
  std::string type = "library";
  if (const YamlNode* node = check.Find("type")) {
    const auto choice =
        ReadChoice(*node, {"library", "text", "sql", "custom"}, What("type"), report_);
    if (!choice) return;
    type = *choice;
  }
  if (type == "text") return;  // prose for people
  if (type != "library") return NotEnforced(check, fmt::format("a quality check of type {}", type));
  const YamlNode* metric =
      Require(check, "metric", fmt::format("field {}: quality", rules_.name), report_);
  if (metric == nullptr) return;
  const auto name = ReadChoice(
      *metric, {"nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount"},
      What("metric"), report_);
  if (name) LibraryCheck(check, *name);
}

void RuleParser::LibraryCheck(const YamlNode& check, const std::string& metric) {
  const YamlNode* must_be = check.Find("mustBe");
  const bool none = must_be != nullptr && (must_be->text == "0" || must_be->text == "0.0");
  if (!none || (metric != "nullValues" && metric != "invalidValues"))
    return NotEnforced(check, fmt::format("`{}`", metric));
  if (metric == "nullValues") {
    rules_.required = true;
    return;
  }
  const YamlNode* arguments = Require(check, "arguments", What("invalidValues"), report_);
  if (arguments != nullptr && ExpectMap(*arguments, What("arguments"), report_))
    InvalidValues(*arguments);
}

void RuleParser::InvalidValues(const YamlNode& arguments) {
  static constexpr std::array<std::string_view, 2> kKeys = {"validValues", "pattern"};
  ExpectKeys(arguments, kKeys, fmt::format("field {}: arguments", rules_.name), report_);
  const YamlNode* values = arguments.Find("validValues");
  const YamlNode* pattern = arguments.Find("pattern");
  if (values == nullptr && pattern == nullptr)
    NotEnforced(arguments, "`invalidValues` without validValues and pattern");
  if (values != nullptr) Enumeration(*values, "validValues");
  if (pattern != nullptr)
    rules_.type == Type::kString ? Pattern(*pattern) : Unfit(*pattern, "pattern");
}

// To the float32 nearest, as values are: a bound of 0.3 is then that of a value of 0.3.
void RuleParser::RoundFloat32Bounds() {
  if (rules_.type != Type::kFloat32) return;
  for (double* bound : {&rules_.floats.minimum, &rules_.floats.maximum})
    if (std::isfinite(*bound))
      *bound = static_cast<float>(std::clamp<double>(*bound, -FLT_MAX, FLT_MAX));
}

void RuleParser::CheckBounds(const YamlNode& property) {
  const auto contradiction = [&](std::string text) {
    report_.Error(DiagnosticCode::kRuleContradiction, property.place,
                  fmt::format("field {}: {}", rules_.name, text));
  };
  if (rules_.integers.minimum > rules_.integers.maximum)
    contradiction("the minimum is above the maximum");
  const FloatBounds& floats = rules_.floats;
  const bool touching =
      floats.minimum == floats.maximum && (floats.minimum_excluded || floats.maximum_excluded);
  if (floats.minimum > floats.maximum || touching)
    contradiction("the minimum is above the maximum");
  if (rules_.length.minimum > rules_.length.maximum) contradiction("minLength is above maxLength");
}

// A listed value that another rule refuses could never arrive: the writer meant something else.
void RuleParser::CheckEnumeration() {
  for (const List& list : lists_) {
    for (const ListedText& text : list.texts)
      if (!rules_.TextPasses(text.value))
        report_.Error(
            DiagnosticCode::kRuleContradiction, text.place,
            fmt::format("field {}: the listed value `{}` breaks the field's length or pattern",
                        rules_.name, text.written));
    for (const ListedNumber& number : list.numbers)
      if (!rules_.IntegerPasses(number.value))
        report_.Error(
            DiagnosticCode::kRuleContradiction, number.place,
            fmt::format("field {}: a listed value breaks the field's bounds", rules_.name));
  }
}

void RuleParser::Finish(const YamlNode& property) {
  RoundFloat32Bounds();
  CheckBounds(property);
  CheckEnumeration();
  KeepEnumeration();
}

void RuleParser::KeepEnumeration() {
  auto texts = InAll<std::string>(lists_, &List::texts);
  rules_.numbers = InAll<int64_t>(lists_, &List::numbers);
  const bool all_list_some = std::ranges::none_of(
      lists_, [](const List& list) { return list.texts.empty() && list.numbers.empty(); });
  if (lists_.size() > 1 && all_list_some && texts.empty() && rules_.numbers.empty())
    report_.Error(
        DiagnosticCode::kRuleContradiction, lists_.back().place,
        fmt::format("field {}: no value is in all of its {} lists", rules_.name, lists_.size()),
        "what comes must be in each of them");
  rules_.texts = ValueSet(std::move(texts));
}

}  // namespace

void ParseRules(const YamlNode& property, FieldRules& rules, DiagnosticReport& report) {
  RuleParser parser(rules, report);
  if (const YamlNode* options = property.Find("logicalTypeOptions")) parser.Options(*options);
  if (const YamlNode* list = property.Find("enum")) parser.Enumeration(*list, "enum");
  if (const YamlNode* list = property.Find("quality")) parser.Quality(*list);
  parser.Finish(property);
}

}  // namespace headrace::contract
