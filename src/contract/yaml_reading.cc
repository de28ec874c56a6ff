#include "contract/yaml_reading.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace headrace::contract {

std::string_view NameOf(YamlNode::Kind kind) {
  switch (kind) {
    case YamlNode::Kind::kNull: return "nothing";
    case YamlNode::Kind::kScalar: return "a text";
    case YamlNode::Kind::kList: return "a list";
    case YamlNode::Kind::kMap: return "a map";
  }
  return "something else";
}

namespace {

// Two of them added to any time of a calendar stay within 64 bits of microseconds.
constexpr base::Duration kLongestDuration = std::chrono::hours(24) * 365'250;

bool ExpectKind(const YamlNode& node, YamlNode::Kind kind, std::string_view what,
                DiagnosticReport& report) {
  if (node.kind == kind) return true;
  report.Error(DiagnosticCode::kWrongShape, node.place,
               fmt::format("{} must be {}, here is {}", what, NameOf(kind), NameOf(node.kind)));
  return false;
}

}  // namespace

bool ExpectMap(const YamlNode& node, std::string_view what, DiagnosticReport& report) {
  return ExpectKind(node, YamlNode::Kind::kMap, what, report);
}

bool ExpectList(const YamlNode& node, std::string_view what, DiagnosticReport& report) {
  return ExpectKind(node, YamlNode::Kind::kList, what, report);
}

void ExpectKeys(const YamlNode& map, std::span<const std::string_view> allowed,
                std::string_view what, DiagnosticReport& report) {
  for (const YamlNode& key : map.keys) {
    if (std::find(allowed.begin(), allowed.end(), key.text) != allowed.end()) continue;
    const std::vector<std::string> names(allowed.begin(), allowed.end());
    report.Error(DiagnosticCode::kUnknownKey, key.place,
                 fmt::format("{}: no key `{}`", what, key.text),
                 DidYouMean(key.text, names, fmt::format("keys: {}", fmt::join(allowed, ", "))));
  }
}

const YamlNode* Require(const YamlNode& map, std::string_view key, std::string_view what,
                        DiagnosticReport& report) {
  const YamlNode* node = map.Find(key);
  if (node == nullptr || node->is_null()) {
    report.Error(DiagnosticCode::kMissingKey, node == nullptr ? map.place : node->place,
                 fmt::format("{}: `{}` is missing", what, key));
    return nullptr;
  }
  return node;
}

std::optional<std::string> ReadText(const YamlNode& node, std::string_view what,
                                    DiagnosticReport& report) {
  if (!ExpectKind(node, YamlNode::Kind::kScalar, what, report)) return std::nullopt;
  return node.text;
}

std::optional<std::string> ReadChoice(const YamlNode& node,
                                      std::initializer_list<std::string_view> choices,
                                      std::string_view what, DiagnosticReport& report) {
  auto text = ReadText(node, what, report);
  if (!text) return std::nullopt;
  if (std::find(choices.begin(), choices.end(), *text) != choices.end()) return text;
  const std::vector<std::string> names(choices.begin(), choices.end());
  report.Error(DiagnosticCode::kWrongValue, node.place,
               fmt::format("{} can't be `{}`", what, *text),
               fmt::format("one of: {}", fmt::join(names, ", ")));
  return std::nullopt;
}

std::optional<std::vector<const YamlNode*>> ReadTexts(const YamlNode& node, std::string_view what,
                                                      DiagnosticReport& report) {
  if (node.is_scalar()) return std::vector{&node};
  if (!node.is_list()) {
    report.Error(
        DiagnosticCode::kWrongShape, node.place,
        fmt::format("{} must be a text or a list of texts, here is {}", what, NameOf(node.kind)));
    return std::nullopt;
  }
  std::vector<const YamlNode*> texts;
  for (const YamlNode& item : node.items) {
    if (!ExpectKind(item, YamlNode::Kind::kScalar, what, report)) return std::nullopt;
    texts.push_back(&item);
  }
  return texts;
}

std::optional<bool> ReadBool(const YamlNode& node, std::string_view what,
                             DiagnosticReport& report) {
  const auto text = ReadChoice(node, {"true", "false"}, what, report);
  if (!text) return std::nullopt;
  return *text == "true";
}

std::optional<int64_t> IntegerIn(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> NumberIn(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

std::optional<int64_t> ReadInteger(const YamlNode& node, std::string_view what,
                                   DiagnosticReport& report) {
  const auto text = ReadText(node, what, report);
  if (!text) return std::nullopt;
  const auto value = IntegerIn(*text);
  if (!value)
    report.Error(DiagnosticCode::kBadNumber, node.place,
                 fmt::format("{} must be a whole number, here is `{}`", what, *text));
  return value;
}

std::optional<double> ReadNumber(const YamlNode& node, std::string_view what,
                                 DiagnosticReport& report) {
  const auto text = ReadText(node, what, report);
  if (!text) return std::nullopt;
  const auto value = NumberIn(*text);
  if (!value)
    report.Error(DiagnosticCode::kBadNumber, node.place,
                 fmt::format("{} must be a number, here is `{}`", what, *text));
  return value;
}

std::optional<base::Duration> ReadDuration(const YamlNode& node, std::string_view what,
                                           DiagnosticReport& report) {
  const auto text = ReadText(node, what, report);
  if (!text) return std::nullopt;
  const auto value = base::ParseDuration(*text);
  if (value && *value > kLongestDuration) {
    report.Error(DiagnosticCode::kBadDuration, node.place,
                 fmt::format("{}: {} is longer than a thousand years", what, *text));
    return std::nullopt;
  }
  if (value && value->count() > 0) return *value;
  report.Error(
      DiagnosticCode::kBadDuration, node.place,
      fmt::format("{} must be a span of time, here is `{}`", what, *text),
      value ? "it must be longer than nothing" : "write it like 250ms, 90s, 10m, 1h, 7d or 2w");
  return std::nullopt;
}

bool ExpectName(const YamlNode& node, std::string_view what, DiagnosticReport& report) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  const std::string& text = node.text;
  const bool good = !text.empty() && text.size() <= 64 && letter(text[0]) &&
                    std::all_of(text.begin(), text.end(),
                                [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
  if (good) return true;
  report.Error(DiagnosticCode::kBadName, node.place, fmt::format("{}: `{}` is no name", what, text),
               "letters, digits and underscores, at most 64, no digit first");
  return false;
}

}  // namespace headrace::contract
