#pragma once
// An exact sum of doubles, rounded once: the answer is a function of the set of addends, never of
// their order or grouping.
//
// 1. Most addends are multiples of 2^-75 below 2^48: they are added as integers in 128 bits
// ("units").
// 2. What does not fit (tiny, huge, or a sum that outgrows 128 bits) goes to a full-range
// accumulator of 2^-1074 .. 2^1024
//    with 64 spare bits, allocated at its first use.
// 3. Infinities and NaNs are counted, so that they can be removed again.
// The sizes and the alternatives are in docs/adr/0004-exact-accumulators.md.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "columns/batch_codec.h"

namespace headrace::pipeline {

using Int128 = __int128;
using Unsigned128 = unsigned __int128;

// `value * 2^exponent` as the nearest double, ties to even. The result must be a normal double or
// zero.
inline double RoundScaled(Int128 value, int exponent) {
  if (value == 0) return 0.0;
  const bool negative = value < 0;
  const Unsigned128 magnitude =
      negative ? -static_cast<Unsigned128>(value) : static_cast<Unsigned128>(value);
  const auto high = static_cast<uint64_t>(magnitude >> 64);
  const int bits = high != 0 ? 64 + std::bit_width(high)
                             : static_cast<int>(std::bit_width(static_cast<uint64_t>(magnitude)));
  // Of the highest 63 bits the last one says whether there is anything below: the conversion rounds
  // as it would with all of them.
  const int drop = std::max(0, bits - 63);
  const auto top = static_cast<int64_t>(magnitude >> drop);
  const bool rest = static_cast<Unsigned128>(top) << drop != magnitude;
  const auto scale = std::bit_cast<double>(static_cast<uint64_t>(exponent + drop + 1023) << 52);
  const double rounded = static_cast<double>(top | (rest ? 1 : 0)) * scale;
  return negative ? -rounded : rounded;
}

// 16 bytes, the lowest first.
void AppendInt128(Int128 value, columns::ByteWriter& out);
base::Result<Int128> ReadInt128(columns::ByteReader& in);

// A number that is not negative, exactly: digits of 32 bits, the lowest first, times 2^exponent.
struct Magnitude {
  std::vector<uint32_t> digits;
  int exponent = 0;
};
// Of `value * 2^exponent`.
Magnitude MagnitudeOf(Int128 value, int exponent);

// A value; copying it copies the full-range accumulator if there is one. Not thread-safe.
class ExactSum {
 public:
  static constexpr int kUnitExponent = -75;  // a unit is 2^-75
  static constexpr int kSpareBits = 64;      // of the full-range accumulator, above the doubles
  // An addend of up to this biased exponent takes at most 2^119 units: 64 of them can't overflow
  // 128 bits.
  static constexpr unsigned kBiasedMin = 1023 + kUnitExponent + 52;
  static constexpr unsigned kBiasedMax = kBiasedMin + 66;

  ExactSum();
  ExactSum(const ExactSum& other);
  ExactSum& operator=(const ExactSum& other);
  ExactSum(ExactSum&&) noexcept;
  ExactSum& operator=(ExactSum&&) noexcept;
  ~ExactSum();

  // True when `v` is a normal double that is a whole number of units for its exponent alone;
  // `units` is then exact.
  static bool UnitsOf(double v, Int128& units) {
    const auto bits = std::bit_cast<uint64_t>(v);
    const unsigned shift = (static_cast<unsigned>(bits >> 52) & 0x7ffU) - kBiasedMin;
    if (shift > kBiasedMax - kBiasedMin) [[unlikely]]
      return false;
    const auto magnitude = static_cast<Int128>((bits & kMantissaMask) | kHiddenBit) << shift;
    units = (bits >> 63) != 0 ? -magnitude : magnitude;
    return true;
  }

  void Add(double v) {
    Int128 units;
    if (UnitsOf(v, units)) [[likely]] {
      AddUnits(units);
    } else {
      AddOther(v, +1);
    }
  }
  // Undoes one Add of the same value.
  void Remove(double v) {
    Int128 units;
    if (UnitsOf(v, units)) [[likely]] {
      AddUnits(-units);
    } else {
      AddOther(v, -1);
    }
  }
  void AddUnits(Int128 units) {
    Int128 sum;
    if (__builtin_add_overflow(units_, units, &sum)) [[unlikely]] {
      Spill();
      sum = units;
    }
    units_ = sum;
  }
  void Merge(const ExactSum& other);

  // The sum rounded to nearest, ties to even: overflow gives an infinity, an exact zero is +0.0,
  // any NaN or infinities of both signs give the one quiet NaN.
  double Round() const { return RoundDown(0); }
  // The same of the sum times 2^-exponent, for a sum that Round makes infinite; below 2^64 addends
  // it is finite for an exponent of kSpareBits.
  double RoundDown(int exponent) const;

  // No infinity and no NaN is among the addends.
  bool finite() const;
  // Of the finite addends' sum.
  Magnitude magnitude() const;

  // True while the sum is `units()` alone: then it can be kept in 16 bytes.
  bool fits_units() const { return wide_ == nullptr && nans_ == 0 && plus_ == 0 && minus_ == 0; }
  Int128 units() const { return units_; }
  void Reset();

  // All of it as bytes, and added again. Errors: kCorruption.
  void AppendBytes(columns::ByteWriter& out) const;
  base::Result<void> MergeBytes(columns::ByteReader& in);

 private:
  struct Wide;
  static constexpr uint64_t kMantissaMask = (1ULL << 52) - 1;
  static constexpr uint64_t kHiddenBit = 1ULL << 52;

  void AddOther(double v, int times);
  void Spill();
  Wide& wide();

  Int128 units_ = 0;
  int64_t nans_ = 0;
  int64_t plus_ = 0;   // of +infinity
  int64_t minus_ = 0;  // of -infinity
  std::unique_ptr<Wide> wide_;
};

}  // namespace headrace::pipeline
