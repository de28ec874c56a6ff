#pragma once
// Reads typed values out of a YAML tree; what does not fit becomes a diagnostic and an empty
// result.

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "contract/yaml_document.h"

namespace headrace::contract {

// Each returns false or nothing after reporting. `what` names the value for people: "`over` of view
// card".
bool ExpectMap(const YamlNode& node, std::string_view what, DiagnosticReport& report);
bool ExpectList(const YamlNode& node, std::string_view what, DiagnosticReport& report);
// A key that is not in `allowed` is an error with the nearest names.
void ExpectKeys(const YamlNode& map, std::span<const std::string_view> allowed,
                std::string_view what, DiagnosticReport& report);
// The value of a key that must be there.
const YamlNode* Require(const YamlNode& map, std::string_view key, std::string_view what,
                        DiagnosticReport& report);

std::optional<std::string> ReadText(const YamlNode& node, std::string_view what,
                                    DiagnosticReport& report);
// One of `choices`.
std::optional<std::string> ReadChoice(const YamlNode& node,
                                      std::initializer_list<std::string_view> choices,
                                      std::string_view what, DiagnosticReport& report);
// A text, or a list of texts.
std::optional<std::vector<const YamlNode*>> ReadTexts(const YamlNode& node, std::string_view what,
                                                      DiagnosticReport& report);
std::optional<bool> ReadBool(const YamlNode& node, std::string_view what, DiagnosticReport& report);
std::optional<int64_t> ReadInteger(const YamlNode& node, std::string_view what,
                                   DiagnosticReport& report);
std::optional<double> ReadNumber(const YamlNode& node, std::string_view what,
                                 DiagnosticReport& report);
// Zero, negative spans and those of over a thousand years are refused.
std::optional<base::Duration> ReadDuration(const YamlNode& node, std::string_view what,
                                           DiagnosticReport& report);
// Letters, digits, underscores; no digit first; at most 64 bytes.
bool ExpectName(const YamlNode& node, std::string_view what, DiagnosticReport& report);

// For messages: "a list", "a map", "nothing", "a text".
std::string_view NameOf(YamlNode::Kind kind);

// The whole of `text` as a number; nothing otherwise. Neither blanks nor "inf" and "nan".
std::optional<int64_t> IntegerIn(std::string_view text);
std::optional<double> NumberIn(std::string_view text);

}  // namespace headrace::contract
