#include "protocols/kept_heads.h"

#include "base/hash.h"

namespace headrace::protocols {

size_t KeptHeads::PlaceOf(std::string_view text) { return base::Hash64(text) % kHeadsMax; }

const KeptHeads::Entry* KeptHeads::Find(std::string_view bytes) const {
  constexpr std::string_view kEnd = "\r\n\r\n";
  const size_t end = bytes.substr(0, kBytesMax).find(kEnd);
  if (end == std::string_view::npos) return nullptr;
  const std::string_view text = bytes.substr(0, end + kEnd.size());
  const Entry& entry = entries_[PlaceOf(text)];
  return entry.text == text ? &entry : nullptr;
}

void KeptHeads::Keep(std::string_view text, const RequestHead& head, const Target& target) {
  const bool is_small =
      text.size() <= kBytesMax && head.fields.size() + target.query.size() <= kPartsMax;
  if (is_small) entries_[PlaceOf(text)] = {std::string(text), head, target};
}

}  // namespace headrace::protocols
