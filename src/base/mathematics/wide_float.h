#pragma once
// A binary floating-point number of 320 bits: slow, simple, and with an exponent that does not
// overflow. Values; results are truncated, so each operation is off by less than 2^-316 of its
// result.

#include <array>
#include <cstdint>

namespace headrace::base {

// (-1)^negative * 0.limbs * 2^exponent; the first bit of limbs[0] is 1, or all are 0.
struct WideFloat {
  static constexpr int kLimbs = 5;
  static constexpr int kBits = 64 * kLimbs;

  static WideFloat Of(double value);  // exact; finite values alone
  static WideFloat OfInt(int64_t value);
  // `bits` as a fraction, 0.bits, normalised.
  static WideFloat OfFraction(const std::array<uint64_t, kLimbs>& bits);

  bool is_zero() const { return limbs[0] == 0; }
  WideFloat operator-() const;
  // Times a power of two.
  WideFloat Scaled(int by) const;

  // The nearest double, ties to even; a value within 2^-280 of a tie, relatively, is one. Infinite
  // when it is too large.
  double Rounded() const;

  std::array<uint64_t, kLimbs> limbs{};  // most significant first
  int exponent = 0;
  bool negative = false;
};

WideFloat operator+(const WideFloat& a, const WideFloat& b);
WideFloat operator-(const WideFloat& a, const WideFloat& b);
WideFloat operator*(const WideFloat& a, const WideFloat& b);
// b is not 0.
WideFloat operator/(const WideFloat& a, const WideFloat& b);
WideFloat DividedBy(const WideFloat& a, uint64_t b);
// Of a number that is not negative.
WideFloat SquareRoot(const WideFloat& a);
// Whether |a| < |b|.
bool IsSmaller(const WideFloat& a, const WideFloat& b);

}  // namespace headrace::base
