#include "contract/value_set.h"

#include <bit>
#include <cstring>

#include "base/hash.h"

namespace headrace::contract {
namespace {

template <typename T>
uint64_t Load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

// Up to 8 bytes as a number; together with the length it is the text. Two overlapping loads instead
// of a loop.
uint64_t Pack(std::string_view text) {
  const size_t n = text.size();
  const char* p = text.data();
  if (n >= 4) return Load<uint32_t>(p) | Load<uint32_t>(p + n - 4) << 32;
  if (n >= 2) return Load<uint16_t>(p) | Load<uint16_t>(p + n - 2) << 16;
  return n == 1 ? Load<uint8_t>(p) : 0;
}

}  // namespace

ValueSet::ValueSet(std::vector<std::string> values) : values_(std::move(values)) {
  slots_.resize(std::bit_ceil(values_.size() * 2 + 2));
  for (size_t i = 0; i < values_.size(); ++i) {
    Slot slot = Describe(values_[i]);
    slot.value = static_cast<uint32_t>(i + 1);
    size_t at = Home(slot);
    while (slots_[at].value != 0) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = slot;
  }
}

ValueSet::Slot ValueSet::Describe(std::string_view text) {
  const uint64_t bytes = text.size() <= 8 ? Pack(text) : base::Hash64(text);
  return {bytes, static_cast<uint32_t>(text.size()), 0};
}

size_t ValueSet::Home(const Slot& slot) const {
  return base::Mix64(slot.bytes + slot.length) & (slots_.size() - 1);
}

bool ValueSet::Same(const Slot& slot, const Slot& wanted, std::string_view text) const {
  if (slot.bytes != wanted.bytes || slot.length != wanted.length) return false;
  return wanted.length <= 8 || values_[slot.value - 1] == text;
}

bool ValueSet::Contains(std::string_view text) const {
  if (values_.empty()) return false;
  const Slot wanted = Describe(text);
  for (size_t at = Home(wanted); slots_[at].value != 0; at = (at + 1) & (slots_.size() - 1))
    if (Same(slots_[at], wanted, text)) return true;
  return false;
}

}  // namespace headrace::contract
