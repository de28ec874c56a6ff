#pragma once
// HyperLogLog registers: an estimate of how many distinct values there are, from the greatest
// number of leading zeros among their hashes in each of 2^bits groups. Registers are maxima, so
// they are a function of the set of values, and so is the estimate: it is computed from the counts
// of equal registers, in a fixed order. Relative standard error: 1.04 / sqrt(2^bits). Estimator:
// Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), algorithm 6:
// unbiased over the whole range, without tables. It needs no logarithm.

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace headrace::pipeline {

// Not thread-safe.
class HyperLogLog {
 public:
  static constexpr int kBitsMin = 4;
  static constexpr int kBitsMax = 18;

  explicit HyperLogLog(int bits);
  // Relative, of registers of this number.
  static double StandardError(int bits) {
    return 1.04 / std::sqrt(static_cast<double>(1U << bits));
  }

  // `hash` is well mixed in all 64 bits; equal values have equal hashes.
  void Add(uint64_t hash);
  // `other` has as many registers.
  void Merge(const HyperLogLog& other);
  // Of registers() of as many. False, and nothing is merged, when they can't be.
  [[nodiscard]] bool MergeRegisters(std::span<const uint8_t> registers);
  // Rounded to the nearest whole number.
  uint64_t Estimate() const;
  std::span<const uint8_t> registers() const { return registers_; }

 private:
  int bits_;
  std::vector<uint8_t> registers_;
};

}  // namespace headrace::pipeline
