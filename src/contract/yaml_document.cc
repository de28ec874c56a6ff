#include "contract/yaml_document.h"

#include <fmt/core.h>
#include <simdjson.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>
#include <unordered_map>

namespace headrace::contract {
namespace {

// Thrown through yaml-cpp by our handler and caught in ParseYaml; never leaves this file.
struct Refusal {
  DiagnosticCode code;
  Place place;
  std::string message;
};

Place PlaceAt(const YAML::Mark& mark, size_t length = 1) {
  if (mark.is_null()) return {};
  return {static_cast<size_t>(mark.line) + 1, static_cast<size_t>(mark.column) + 1, length};
}

// Builds the tree from yaml-cpp's events. `open_` holds the containers on the way down to the
// current place.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::string_view text) : text_(text) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { Add(mark, YamlNode::Kind::kNull); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw Refusal{DiagnosticCode::kYamlFeature, PlaceAt(mark), "aliases are not allowed"};
  }
  void OnAnchor(const YAML::Mark& mark, const std::string&) override {
    throw Refusal{DiagnosticCode::kYamlFeature, PlaceAt(mark), "anchors are not allowed"};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    RefuseTag(mark, tag);
    YamlNode& node = Add(mark, YamlNode::Kind::kScalar);
    node.text = value;
    node.style = tag == "!" ? YamlNode::Style::kQuoted : YamlNode::Style::kPlain;
    Locate(mark, node);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value style) override {
    Open(mark, tag, YamlNode::Kind::kList, style);
  }
  void OnSequenceEnd() override { Shut(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value style) override {
    Open(mark, tag, YamlNode::Kind::kMap, style);
  }
  void OnMapEnd() override { Shut(); }

  YamlNode Take() { return std::move(root_); }

 private:
  static void RefuseTag(const YAML::Mark& mark, const std::string& tag) {
    const bool own = !tag.empty() && tag != "?" && tag != "!";
    if (own)
      throw Refusal{DiagnosticCode::kYamlFeature, PlaceAt(mark),
                    fmt::format("tags are not allowed: {}", tag)};
  }

  void Open(const YAML::Mark& mark, const std::string& tag, YamlNode::Kind kind,
            YAML::EmitterStyle::value style) {
    RefuseTag(mark, tag);
    if (open_.size() >= kYamlDepthMax)
      throw Refusal{DiagnosticCode::kTooLarge, PlaceAt(mark),
                    fmt::format("nested deeper than {}", kYamlDepthMax)};
    YamlNode& node = Add(mark, kind);
    node.flow = style == YAML::EmitterStyle::Flow;
    open_.push_back(&node);
  }

  void Shut() {
    YamlNode& node = *open_.back();
    open_.pop_back();
    if (!node.is_map()) return;
    if (node.flow) RejoinAtCommas(node);
    RefuseDuplicates(node);
  }

  static void RefuseDuplicates(const YamlNode& map) {
    std::unordered_map<std::string_view, size_t> lines;
    for (const YamlNode& key : map.keys) {
      const auto [first, added] = lines.emplace(key.text, key.place.line);
      if (!added)
        throw Refusal{
            DiagnosticCode::kDuplicateKey, key.place,
            fmt::format("`{}` is written twice, first in line {}", key.text, first->second)};
    }
  }

  // {ratio: nullif(a, 0), b: ...}: YAML ends the text at the comma and reads `0)` as a key without
  // a value. A text with an open parenthesis goes on through such keys until it is closed; if it
  // never is, everything stays as YAML says.
  static void RejoinAtCommas(YamlNode& map) {
    std::vector<YamlNode> keys, items;
    for (size_t i = 0, end = 0; i < map.items.size(); i = end) {
      end = EndOfCutText(map, i);
      for (size_t cut = i + 1; cut < end; ++cut) Append(map.items[i], map.keys[cut]);
      keys.push_back(std::move(map.keys[i]));
      items.push_back(std::move(map.items[i]));
    }
    map.keys = std::move(keys);
    map.items = std::move(items);
  }

  static std::ptrdiff_t OpenParentheses(std::string_view text) {
    return std::count(text.begin(), text.end(), '(') - std::count(text.begin(), text.end(), ')');
  }

  // One past the last key that belongs to the text of item `i`.
  static size_t EndOfCutText(const YamlNode& map, size_t i) {
    const YamlNode& text = map.items[i];
    if (!text.is_scalar() || text.style == YamlNode::Style::kQuoted) return i + 1;
    std::ptrdiff_t open = OpenParentheses(text.text);
    size_t end = i + 1;
    for (; open > 0 && end < map.items.size() && map.items[end].is_null(); ++end)
      open += OpenParentheses(map.keys[end].text);
    return open == 0 ? end : i + 1;
  }

  // As it stands in the file: in an expression "a" is a column and 'a' a text.
  static std::string Written(const YamlNode& key) {
    if (key.quote == 0) return key.text;
    std::string text(1, key.quote);
    for (const char c : key.text) text.append(c == key.quote ? 2 : 1, c);
    return text + key.quote;
  }

  // Keeps the blanks of the file where both stand on one line, so that places inside the text stay
  // true.
  static void Append(YamlNode& text, const YamlNode& key) {
    const bool one_line =
        text.text_column != 0 && key.text_column != 0 && text.place.line == key.place.line;
    const size_t end = text.text_column + text.text.size();
    const size_t blanks = one_line && key.text_column > end + 1 ? key.text_column - end - 1 : 1;
    if (!one_line) text.text_column = 0;
    text.text += "," + std::string(blanks, ' ') + Written(key);
    text.place.length = std::max(text.place.length, text.text.size());
    if (key.style == YamlNode::Style::kQuoted) text.text_column = 0;
  }

  // A place in the parent for a new node: pointers stay good, as a parent grows only while its
  // children are complete.
  YamlNode& Add(const YAML::Mark& mark, YamlNode::Kind kind) {
    if (++nodes_ > kYamlNodesMax)
      throw Refusal{DiagnosticCode::kTooLarge, PlaceAt(mark),
                    fmt::format("more than {} values", kYamlNodesMax)};
    YamlNode& node = Slot(mark, kind);
    node.kind = kind;
    node.place = PlaceAt(mark);
    node.in_flow = !open_.empty() && (open_.back()->flow || open_.back()->in_flow);
    return node;
  }

  YamlNode& Slot(const YAML::Mark& mark, YamlNode::Kind kind) {
    if (open_.empty()) return root_;
    YamlNode& parent = *open_.back();
    if (parent.is_list() || parent.keys.size() > parent.items.size())
      return parent.items.emplace_back();
    if (kind != YamlNode::Kind::kScalar)
      throw Refusal{DiagnosticCode::kKeyNotText, PlaceAt(mark), "a key must be a plain text"};
    return parent.keys.emplace_back();
  }

  void Locate(const YAML::Mark& mark, YamlNode& node) const {
    const size_t quote = node.style == YamlNode::Style::kQuoted ? 1 : 0;
    const auto begin = static_cast<size_t>(std::max(mark.pos, 0));
    const auto at = begin + quote;
    if (quote == 1) node.quote = begin < text_.size() && text_[begin] == '"' ? '"' : '\'';
    const bool one_line = node.text.find('\n') == std::string::npos;
    if (one_line && at <= text_.size() && text_.substr(at).starts_with(node.text)) {
      node.text_column = node.place.column + quote;
      node.place.length = std::max<size_t>(1, node.text.size() + 2 * quote);
      return;
    }
    const size_t end = text_.find_first_of("\r\n", std::min(at, text_.size()));
    node.place.length =
        std::max<size_t>(1, std::min(end, text_.size()) - std::min(at, text_.size()));
  }

  std::string_view text_;
  YamlNode root_;
  std::vector<YamlNode*> open_;
  size_t nodes_ = 0;
};

// What yaml-cpp accepts silently and we do not.
bool RefuseBytes(std::string_view text, DiagnosticReport& report) {
  if (text.size() > kYamlBytesMax) {
    report.Error(
        DiagnosticCode::kTooLarge, {},
        fmt::format("the file has {} bytes; at most {} are read", text.size(), kYamlBytesMax));
    return true;
  }
  if (text.find('\0') != std::string_view::npos ||
      !simdjson::validate_utf8(text.data(), text.size())) {
    report.Error(DiagnosticCode::kNotText, {}, "the file is not UTF-8 text", "save it as UTF-8");
    return true;
  }
  return false;
}

void ParseInto(std::string_view text, TreeBuilder& builder) {
  std::istringstream stream{std::string(text)};
  YAML::Parser parser(stream);
  if (!parser.HandleNextDocument(builder))
    throw Refusal{DiagnosticCode::kEmptyFile, {}, "the file is empty"};
  TreeBuilder second(text);
  if (parser.HandleNextDocument(second))
    throw Refusal{DiagnosticCode::kYamlFeature, {}, "the file holds more than one document"};
}

}  // namespace

std::optional<YamlNode> ParseYaml(std::string_view text, DiagnosticReport& report) {
  if (RefuseBytes(text, report)) return std::nullopt;
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";  // yaml-cpp does not count it
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  TreeBuilder builder(text);
  try {
    ParseInto(text, builder);
    return builder.Take();
  } catch (const Refusal& refusal) {
    report.Error(refusal.code, refusal.place, refusal.message);
  } catch (const YAML::Exception& e) {
    report.Error(DiagnosticCode::kYamlSyntax, PlaceAt(e.mark), fmt::format("not YAML: {}", e.msg));
  } catch (const std::exception& e) {
    report.Error(DiagnosticCode::kYamlSyntax, {}, fmt::format("not YAML: {}", e.what()));
  }
  return std::nullopt;
}

const YamlNode* YamlNode::Find(std::string_view key) const {
  for (size_t i = 0; i < keys.size() && i < items.size(); ++i)
    if (keys[i].text == key) return &items[i];
  return nullptr;
}

Place YamlNode::PlaceOf(size_t begin, size_t end) const {
  if (text_column == 0 || end > text.size() || begin > end) return place;
  return {place.line, text_column + begin, std::max<size_t>(1, end - begin)};
}

}  // namespace headrace::contract
