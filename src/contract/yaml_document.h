#pragma once
// A YAML file as a tree that remembers where everything stood. A subset on purpose: no anchors,
// aliases, tags or second document, no key twice, bounded in size and depth, so that what a
// reviewer sees is what is read. One liberty: inside {braces} a plain text with an open parenthesis
// goes on after a comma, {p90: quantile(delay, 0.9)}, where YAML would cut it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "contract/diagnostic_report.h"

namespace headrace::contract {

// A value; the tree owns everything. `keys[i]` belongs to `items[i]` of a map.
struct YamlNode {
  enum class Kind : uint8_t { kNull, kScalar, kList, kMap };
  enum class Style : uint8_t { kPlain, kQuoted };  // of a scalar
  Kind kind = Kind::kNull;
  Style style = Style::kPlain;
  bool flow = false;     // a list or map written with brackets
  bool in_flow = false;  // inside one
  char quote = 0;        // ' or ", around a scalar
  std::string text;      // of a scalar
  Place place;
  // Where `text` itself begins when it stands in one piece on one line; 0 when it does not (folded,
  // escaped).
  size_t text_column = 0;
  std::vector<YamlNode> keys;
  std::vector<YamlNode> items;

  bool is_null() const { return kind == Kind::kNull; }
  bool is_scalar() const { return kind == Kind::kScalar; }
  bool is_list() const { return kind == Kind::kList; }
  bool is_map() const { return kind == Kind::kMap; }
  // The value of `key`; null when there is none or this is no map.
  const YamlNode* Find(std::string_view key) const;
  // Bytes [begin, end) of `text` as a place in the file; the whole node when that is not known.
  Place PlaceOf(size_t begin, size_t end) const;
};

constexpr size_t kYamlBytesMax = 1 << 20;
constexpr size_t kYamlDepthMax = 24;
constexpr size_t kYamlNodesMax = 100'000;

// Nothing when there is an error, which is then in `report`.
std::optional<YamlNode> ParseYaml(std::string_view text, DiagnosticReport& report);

}  // namespace headrace::contract
