#include "pipeline/aggregates/hyperloglog.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "base/result.h"

namespace headrace::pipeline {
namespace {

// 1 / (2 ln 2).
constexpr double kAlpha = 0x1.71547652b82fep-1;

// The sum of x^(2^k) * 2^(k-1), k >= 0 (with x in place of the first term), for 0 <= x < 1.
double Sigma(double x) {
  double sum = x;
  double weight = 1;
  for (double before = -1; sum != before;) {
    x *= x;
    before = sum;
    sum += x * weight;
    weight += weight;
  }
  return sum;
}

// (1 - x - the sum of (1 - x^(2^-k))^2 * 2^-k, k >= 1) / 3, for 0 <= x <= 1.
double Tau(double x) {
  if (x == 0 || x == 1) return 0;
  double sum = 1 - x;
  double weight = 1;
  for (double before = -1; sum != before;) {
    x = std::sqrt(x);
    before = sum;
    weight *= 0.5;
    const double rest = 1 - x;
    sum -= rest * rest * weight;
  }
  return sum / 3;
}

}  // namespace

HyperLogLog::HyperLogLog(int bits) : bits_(bits) {
  HR_CHECK(bits >= kBitsMin && bits <= kBitsMax, "register bits out of range");
  registers_.assign(size_t{1} << bits, 0);
}

void HyperLogLog::Add(uint64_t hash) {
  const auto group = static_cast<size_t>(hash >> (64 - bits_));
  // A one below the bits that are used ends the zeros.
  const uint64_t rest = hash << bits_ | 1ULL << (bits_ - 1);
  const auto rank = static_cast<uint8_t>(std::countl_zero(rest) + 1);
  registers_[group] = std::max(registers_[group], rank);
}

void HyperLogLog::Merge(const HyperLogLog& other) {
  HR_CHECK(bits_ == other.bits_, "registers of another size");
  for (size_t i = 0; i < registers_.size(); ++i)
    registers_[i] = std::max(registers_[i], other.registers_[i]);
}

bool HyperLogLog::MergeRegisters(std::span<const uint8_t> registers) {
  const auto greatest = static_cast<uint8_t>(64 - bits_ + 1);
  if (registers.size() != registers_.size() || std::ranges::max(registers) > greatest) return false;
  for (size_t i = 0; i < registers_.size(); ++i)
    registers_[i] = std::max(registers_[i], registers[i]);
  return true;
}

uint64_t HyperLogLog::Estimate() const {
  std::array<uint32_t, 66> equal{};
  for (const uint8_t rank : registers_) ++equal[rank];
  const auto groups = static_cast<double>(registers_.size());
  const int rank_max = 64 - bits_ + 1;
  if (equal[0] == registers_.size()) return 0;
  double z = groups * Tau(1 - equal[static_cast<size_t>(rank_max)] / groups);
  for (int rank = rank_max - 1; rank >= 1; --rank) z = 0.5 * (z + equal[static_cast<size_t>(rank)]);
  z += groups * Sigma(equal[0] / groups);
  return static_cast<uint64_t>(std::llround(kAlpha * groups * groups / z));
}

}  // namespace headrace::pipeline
