#pragma once
// A set of a file's 512-byte sectors, as bits: a preallocated segment is thousands of them.

#include <bit>
#include <cstdint>
#include <vector>

namespace headrace::env::simulated {

inline constexpr uint64_t kSectorBytes = 512;

// A value.
class Sectors {
 public:
  void Add(uint64_t sector) {
    if (sector / kBits >= words_.size()) words_.resize(sector / kBits + 1, 0);
    words_[sector / kBits] |= 1ULL << (sector % kBits);
  }
  void Remove(const Sectors& others) {
    for (size_t i = 0; i < words_.size() && i < others.words_.size(); ++i)
      words_[i] &= ~others.words_[i];
  }
  void Clear() { words_.clear(); }
  bool empty() const {
    for (const uint64_t word : words_)
      if (word != 0) return false;
    return true;
  }
  // In ascending order.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (size_t i = 0; i < words_.size(); ++i)
      for (uint64_t word = words_[i]; word != 0; word &= word - 1)
        visit(i * kBits + static_cast<uint64_t>(std::countr_zero(word)));
  }

 private:
  static constexpr uint64_t kBits = 64;
  std::vector<uint64_t> words_;
};

}  // namespace headrace::env::simulated
