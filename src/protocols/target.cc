#include "protocols/target.h"

#include <algorithm>
#include <initializer_list>

#include "base/hex.h"
#include "protocols/head_rules.h"

namespace headrace::protocols {
namespace {

enum class Part { kPath, kQuery };

using base::HexDigit;

bool Decode(std::string_view text, Part part, std::string& out) {
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && part == Part::kQuery) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      if (i + 2 >= text.size()) return false;
      const int high = HexDigit(text[i + 1]);
      const int low = HexDigit(text[i + 2]);
      if (high < 0 || low < 0) return false;
      const char decoded = static_cast<char>(high * 16 + low);
      if (decoded == '\0' || (decoded == '/' && part == Part::kPath)) return false;
      out += decoded;
      i += 2;
    }
  }
  return true;
}

bool ParseQuery(std::string_view text, std::vector<std::pair<std::string, std::string>>& out) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) continue;
    const size_t equals = std::min(pair.find('='), pair.size());
    std::pair<std::string, std::string> decoded;
    if (!Decode(pair.substr(0, equals), Part::kQuery, decoded.first)) return false;
    if (equals < pair.size() && !Decode(pair.substr(equals + 1), Part::kQuery, decoded.second))
      return false;
    out.push_back(std::move(decoded));
  }
  return true;
}

}  // namespace

std::optional<Target> ParseTarget(std::string_view target) {
  if (target == "*") return Target{"*", {}};
  if (target.starts_with("http://") || target.starts_with("https://")) {
    const size_t authority = target.find("://") + 3;
    const size_t slash = target.find_first_of("/?#", authority);
    if (slash == authority || authority == target.size()) return std::nullopt;
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  if (!target.starts_with('/') || target.find('#') != std::string_view::npos) return std::nullopt;
  Target parsed;
  const size_t question = std::min(target.find('?'), target.size());
  if (!Decode(target.substr(0, question), Part::kPath, parsed.path)) return std::nullopt;
  if (question < target.size() && !ParseQuery(target.substr(question + 1), parsed.query))
    return std::nullopt;
  return parsed;
}

std::optional<bool> ReadFlag(std::string_view text) {
  const auto is = [&](std::initializer_list<std::string_view> words) {
    return std::ranges::any_of(
        words, [&](std::string_view word) { return EqualsIgnoringCase(text, word); });
  };
  if (is({"true", "t", "yes", "y", "on", "1"})) return true;
  if (is({"false", "f", "no", "n", "off", "0"})) return false;
  return std::nullopt;
}

}  // namespace headrace::protocols
