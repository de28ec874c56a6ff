#pragma once
// A wide fixed-point sum of signed terms, in digits of 32 bits: what exact sums of doubles and of
// their squares go to when they leave the range of a machine number.

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "columns/batch_codec.h"

namespace headrace::pipeline {

constexpr int kDigitBits = 32;

// Digits in 64-bit words, whose upper halves keep carries until they must move on. The weight of
// word 0 is the user's affair. Not thread-safe.
template <size_t kWords>
struct DigitSum {
  static constexpr uint64_t kDigitMask = 0xffffffffU;
  static constexpr uint32_t kPendingMax = 1U << 29;  // additions until carries must move on

  std::array<int64_t, kWords> words{};
  uint32_t pending = 0;

  // Adds `magnitude * 2^bit`, in units of word 0's lowest bit, with a sign.
  void AddAt(unsigned __int128 magnitude, unsigned bit, int sign) {
    size_t word = bit / kDigitBits;
    const unsigned shift = bit % kDigitBits;
    uint64_t carry = 0;
    for (; magnitude != 0 || carry != 0; ++word) {
      const uint64_t shifted = ((static_cast<uint64_t>(magnitude) & kDigitMask) << shift) | carry;
      carry = shifted >> kDigitBits;
      const auto digit = static_cast<int64_t>(shifted & kDigitMask);
      words[word] += sign > 0 ? digit : -digit;
      magnitude >>= kDigitBits;
    }
    if (++pending >= kPendingMax) Normalize();
  }

  // Moves carries up: all words but the last are then digits in [0, 2^32); the last has the sign.
  void Normalize() {
    for (size_t i = 0; i + 1 < kWords; ++i) {
      words[i + 1] += words[i] >> kDigitBits;
      words[i] &= static_cast<int64_t>(kDigitMask);
    }
    pending = 1;
  }

  void Merge(const DigitSum& other) {
    if (pending >= kPendingMax / 2) Normalize();
    DigitSum normal = other;
    normal.Normalize();
    for (size_t i = 0; i < kWords; ++i) words[i] += normal.words[i];
    ++pending;
  }

  // Digits of 4 bytes, the last word in 8.
  void AppendBytes(columns::ByteWriter& out) const {
    DigitSum normal = *this;
    normal.Normalize();
    for (size_t i = 0; i + 1 < kWords; ++i) out.U32(static_cast<uint32_t>(normal.words[i]));
    out.I64(normal.words[kWords - 1]);
  }
  // Becomes what AppendBytes wrote. Errors: kCorruption.
  base::Result<void> ReadBytes(columns::ByteReader& in) {
    for (size_t i = 0; i + 1 < kWords; ++i) {
      HR_TRY(words[i], in.U32());
    }
    HR_TRY(words[kWords - 1], in.I64());
    // A digit and the spare bits above it: more can't have been summed.
    if (words[kWords - 1] >> 48 != 0 && words[kWords - 1] >> 48 != -1)
      return base::Fail(base::ErrorCode::kCorruption, "a sum's bytes lie");
    pending = 1;
    return {};
  }

  // Becomes its absolute value, normalized; whether it was negative.
  bool MakeMagnitude() {
    Normalize();
    const bool negative = words[kWords - 1] < 0;
    if (negative) {
      for (int64_t& word : words) word = -word;
      Normalize();
    }
    return negative;
  }
};

}  // namespace headrace::pipeline
