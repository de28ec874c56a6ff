#include "serving/http/kept_features.h"

#include <algorithm>
#include <cstdint>

namespace headrace::serving {
namespace {

constexpr std::string_view kName = "\"features\"";
constexpr std::string_view kWithout = "{\"features\":null";
constexpr size_t kPadding = 64;  // for the parser

void SkipBlanks(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
}

bool Skip(std::string_view what, std::string_view& text) {
  SkipBlanks(text);
  if (!text.starts_with(what)) return false;
  text.remove_prefix(what.size());
  return true;
}

// Bytes of the body up to the end of its list of so many texts; 0 when it does not begin with one,
// or one of the texts has an escape or a bracket.
size_t BytesOfList(std::string_view body, size_t names) {
  std::string_view text = body;
  if (!Skip("{", text) || !Skip(kName, text) || !Skip(":", text) || !Skip("[", text)) return 0;
  const std::string_view list = text.substr(0, text.find(']'));
  const auto quotes = static_cast<size_t>(std::ranges::count(list, '"'));
  // A bracket within a text would leave its second quote behind it.
  if (list.size() == text.size() || quotes != 2 * names || list.contains('\\')) return 0;
  return static_cast<size_t>(list.data() - body.data()) + list.size() + 1;
}

}  // namespace

std::optional<KeptFeatures::Split> KeptFeatures::Find(std::string_view body) {
  for (size_t i = 0; i < entries_.size(); ++i) {
    const size_t at = (last_ + i) % entries_.size();
    const Entry& entry = entries_[at];
    if (!body.starts_with(entry.begin)) continue;
    last_ = at;
    const std::string_view rest = body.substr(entry.begin.size());
    rest_.clear();
    rest_.reserve(kWithout.size() + rest.size() + kPadding);
    rest_.append(kWithout).append(rest);
    return Split{entry.names, rest_};
  }
  return std::nullopt;
}

void KeptFeatures::Keep(std::string_view body, const FeatureNames& names) {
  const size_t bytes = BytesOfList(body, names.names().size());
  if (bytes == 0 || bytes > kBytesMax) return;
  Entry entry{std::string(body.substr(0, bytes)), names};
  if (entries_.size() < kListsMax) return entries_.push_back(std::move(entry));
  entries_[next_] = std::move(entry);
  next_ = (next_ + 1) % kListsMax;
}

}  // namespace headrace::serving
