#pragma once
// The values that an enumeration allows, made to be asked millions of times a second.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::contract {

// Texts, in an open-addressing table. Up to 8 bytes a text is compared as one number, without
// touching other memory. Immutable once made; any thread may ask.
class ValueSet {
 public:
  ValueSet() = default;
  explicit ValueSet(std::vector<std::string> values);

  bool empty() const { return values_.empty(); }
  const std::vector<std::string>& values() const { return values_; }
  bool Contains(std::string_view text) const;

 private:
  struct Slot {
    uint64_t bytes = 0;  // up to 8 bytes: the text itself; longer: its hash
    uint32_t length = 0;
    uint32_t value = 0;  // index into values_ plus one; 0: the slot is free
  };
  static Slot Describe(std::string_view text);
  bool Same(const Slot& slot, const Slot& wanted, std::string_view text) const;
  size_t Home(const Slot& slot) const;

  std::vector<std::string> values_;
  std::vector<Slot> slots_;  // a power of two, at most half full
};

}  // namespace headrace::contract
