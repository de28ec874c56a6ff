#include "contract/rule_parser.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>

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
  void Enumeration(const YamlNode& list);
  void Quality(const YamlNode& list);
  void Finish(const YamlNode& property);

 private:
  void Option(const YamlNode& key, const YamlNode& value);
  void Bound(const YamlNode& key, const YamlNode& value);
  void IntegerBound(std::string_view name, const YamlNode& value);
  void FloatBound(std::string_view name, const YamlNode& value);
  void Length(std::string_view name, const YamlNode& value);
  void Pattern(const YamlNode& value);
  void MultipleOf(const YamlNode& value);
  void Check(const YamlNode& check);
  void LibraryCheck(const YamlNode& check, const std::string& metric);
  void InvalidValues(const YamlNode& arguments);
  void AllowValue(const YamlNode& value);
  void NotEnforced(const YamlNode& at, std::string_view what);
  void RoundFloat32Bounds();
  void CheckBounds(const YamlNode& property);
  void CheckEnumeration();

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
  std::vector<std::string> texts_;
  std::vector<std::pair<std::string, Place>>
      listed_;  // texts_ with their places, for contradictions
  std::vector<std::pair<int64_t, Place>> numbers_;
};

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
  if (key.text == "format" || key.text == "timezone" || key.text == "defaultTimezone")
    return;  // the type's, read with it
  static const std::vector<std::string> kKnown = {
      "minimum",   "maximum",   "exclusiveMinimum", "exclusiveMaximum",
      "minLength", "maxLength", "pattern",          "multipleOf",
      "format",    "timezone",  "defaultTimezone"};
  report_.Error(DiagnosticCode::kUnknownRule, key.place,
                fmt::format("field {}: no rule `{}`", rules_.name, key.text),
                DidYouMean(key.text, kKnown, fmt::format("rules: {}", fmt::join(kKnown, ", "))));
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
    rules_.pattern = std::move(pattern);
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

// ODCS 3.2: enum: [{value: paid}, ...]; a bare value is taken as well.
void RuleParser::Enumeration(const YamlNode& list) {
  if (!ExpectList(list, What("enum"), report_)) return;
  for (const YamlNode& item : list.items) {
    const YamlNode* value = &item;
    if (item.is_map()) value = Require(item, "value", What("enum"), report_);
    if (value != nullptr) AllowValue(*value);
  }
}

void RuleParser::AllowValue(const YamlNode& value) {
  if (columns::IsVariable(rules_.type)) {
    const auto text = ReadText(value, What("enum"), report_);
    if (text) listed_.emplace_back(*text, value.place);
  } else if (integral()) {
    const auto number = IntegralValue(value, "enum");
    if (number) numbers_.emplace_back(*number, value.place);
  } else {
    Unfit(value, "enum");
  }
  if (listed_.size() + numbers_.size() == kEnumerationMax + 1)
    report_.Error(DiagnosticCode::kTooMany, value.place,
                  fmt::format("{} lists more than {} values", What("enum"), kEnumerationMax));
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
  if (const YamlNode* values = arguments.Find("validValues")) Enumeration(*values);
  if (const YamlNode* pattern = arguments.Find("pattern"))
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
  for (const auto& [text, place] : listed_) {
    if (!rules_.TextPasses(text))
      report_.Error(
          DiagnosticCode::kRuleContradiction, place,
          fmt::format("field {}: the listed value `{}` breaks the field's length or pattern",
                      rules_.name, text));
  }
  for (const auto& [number, place] : numbers_) {
    if (!rules_.IntegerPasses(number))
      report_.Error(DiagnosticCode::kRuleContradiction, place,
                    fmt::format("field {}: a listed value breaks the field's bounds", rules_.name));
  }
}

void RuleParser::Finish(const YamlNode& property) {
  RoundFloat32Bounds();
  CheckBounds(property);
  CheckEnumeration();
  std::vector<std::string> texts;
  for (auto& [text, place] : listed_) texts.push_back(std::move(text));
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  rules_.texts = ValueSet(std::move(texts));
  for (const auto& [number, place] : numbers_) rules_.numbers.push_back(number);
  std::sort(rules_.numbers.begin(), rules_.numbers.end());
}

}  // namespace

void ParseRules(const YamlNode& property, FieldRules& rules, DiagnosticReport& report) {
  RuleParser parser(rules, report);
  if (const YamlNode* options = property.Find("logicalTypeOptions")) parser.Options(*options);
  if (const YamlNode* list = property.Find("enum")) parser.Enumeration(*list);
  if (const YamlNode* list = property.Find("quality")) parser.Quality(*list);
  parser.Finish(property);
}

}  // namespace headrace::contract
