#include "base/mathematics/wide_float.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace headrace::base {
namespace {

constexpr int kLimbs = WideFloat::kLimbs;
constexpr int kBits = WideFloat::kBits;
using Limbs = std::array<uint64_t, kLimbs>;
__extension__ using uint128 = unsigned __int128;

// Shifts right by `by` bits, towards zero.
Limbs ShiftedRight(const Limbs& a, int by) {
  Limbs out{};
  if (by >= kBits) return out;
  const int limbs = by / 64;
  const int bits = by % 64;
  for (int i = kLimbs - 1; i >= limbs; --i) {
    out[i] = a[i - limbs] >> bits;
    if (bits != 0 && i > limbs) out[i] |= a[i - limbs - 1] << (64 - bits);
  }
  return out;
}

// Brings the first 1 to the front.
void Normalise(WideFloat& a) {
  int limbs = 0;
  while (limbs < kLimbs && a.limbs[limbs] == 0) ++limbs;
  if (limbs == kLimbs) {
    a = WideFloat{};
    return;
  }
  const int bits = std::countl_zero(a.limbs[limbs]);
  for (int i = 0; i < kLimbs; ++i) {
    const int from = i + limbs;
    uint64_t limb = from < kLimbs ? a.limbs[from] << bits : 0;
    if (bits != 0 && from + 1 < kLimbs) limb |= a.limbs[from + 1] >> (64 - bits);
    a.limbs[i] = limb;
  }
  a.exponent -= limbs * 64 + bits;
}

// |a| + |b|, where |a| is not smaller; `negative` is the sign of the sum.
WideFloat SumOf(const WideFloat& a, const WideFloat& b) {
  const Limbs aligned = ShiftedRight(b.limbs, a.exponent - b.exponent);
  WideFloat out = a;
  uint64_t carry = 0;
  for (int i = kLimbs - 1; i >= 0; --i) {
    const uint128 sum = uint128{a.limbs[i]} + aligned[i] + carry;
    out.limbs[i] = static_cast<uint64_t>(sum);
    carry = static_cast<uint64_t>(sum >> 64);
  }
  if (carry != 0) {
    out.limbs = ShiftedRight(out.limbs, 1);
    out.limbs[0] |= 1ULL << 63;
    ++out.exponent;
  }
  return out;
}

WideFloat DifferenceOf(const WideFloat& a, const WideFloat& b) {
  const Limbs aligned = ShiftedRight(b.limbs, a.exponent - b.exponent);
  WideFloat out = a;
  uint64_t borrow = 0;
  for (int i = kLimbs - 1; i >= 0; --i) {
    const uint128 difference = uint128{a.limbs[i]} - aligned[i] - borrow;
    out.limbs[i] = static_cast<uint64_t>(difference);
    borrow = static_cast<uint64_t>(difference >> 64) != 0 ? 1 : 0;
  }
  Normalise(out);
  return out;
}

}  // namespace

WideFloat WideFloat::OfInt(int64_t value) {
  WideFloat out;
  out.negative = value < 0;
  out.limbs[0] = value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  out.exponent = 64;
  Normalise(out);
  return out;
}

WideFloat WideFloat::Of(double value) {
  int exponent = 0;
  const double mantissa = std::frexp(value, &exponent);
  WideFloat out = OfInt(static_cast<int64_t>(std::ldexp(mantissa, 53)));
  if (!out.is_zero()) out.exponent += exponent - 53;
  return out;
}

WideFloat WideFloat::OfFraction(const Limbs& bits) {
  WideFloat out;
  out.limbs = bits;
  Normalise(out);
  return out;
}

WideFloat WideFloat::operator-() const {
  WideFloat out = *this;
  out.negative = !negative;
  return out;
}

WideFloat WideFloat::Scaled(int by) const {
  WideFloat out = *this;
  if (!is_zero()) out.exponent += by;
  return out;
}

bool IsSmaller(const WideFloat& a, const WideFloat& b) {
  if (a.is_zero() || b.is_zero()) return !b.is_zero();
  if (a.exponent != b.exponent) return a.exponent < b.exponent;
  return a.limbs < b.limbs;
}

WideFloat operator+(const WideFloat& a, const WideFloat& b) {
  if (a.is_zero()) return b;
  if (b.is_zero()) return a;
  const bool swap = IsSmaller(a, b);
  const WideFloat& large = swap ? b : a;
  const WideFloat& small = swap ? a : b;
  return large.negative == small.negative ? SumOf(large, small) : DifferenceOf(large, small);
}

WideFloat operator-(const WideFloat& a, const WideFloat& b) { return a + -b; }

WideFloat operator*(const WideFloat& a, const WideFloat& b) {
  if (a.is_zero() || b.is_zero()) return {};
  std::array<uint64_t, 2 * kLimbs> product{};
  for (int i = kLimbs - 1; i >= 0; --i) {
    uint64_t carry = 0;
    for (int j = kLimbs - 1; j >= 0; --j) {
      const uint128 t = uint128{a.limbs[i]} * b.limbs[j] + product[i + j + 1] + carry;
      product[i + j + 1] = static_cast<uint64_t>(t);
      carry = static_cast<uint64_t>(t >> 64);
    }
    product[i] = carry;
  }
  WideFloat out;
  const int shift = product[0] >> 63 == 0 ? 1 : 0;
  for (int i = 0; i < kLimbs; ++i)
    out.limbs[i] = shift == 0 ? product[i] : product[i] << 1 | product[i + 1] >> 63;
  out.exponent = a.exponent + b.exponent - shift;
  out.negative = a.negative != b.negative;
  return out;
}

WideFloat DividedBy(const WideFloat& a, uint64_t b) {
  WideFloat out = a;
  uint64_t rest = 0;
  for (int i = 0; i < kLimbs; ++i) {
    const uint128 t = uint128{rest} << 64 | a.limbs[i];
    out.limbs[i] = static_cast<uint64_t>(t / b);
    rest = static_cast<uint64_t>(t % b);
  }
  Normalise(out);
  return out;
}

// Newton's iteration for 1/b, which doubles the right bits: 50, 100, 200, 316.
WideFloat operator/(const WideFloat& a, const WideFloat& b) {
  if (a.is_zero()) return {};
  WideFloat unit = b;
  unit.exponent = 0;  // within [0.5, 1)
  unit.negative = false;
  const WideFloat two = WideFloat::OfInt(2);
  WideFloat inverse = WideFloat::Of(1.0 / std::ldexp(static_cast<double>(b.limbs[0]), -64));
  for (int i = 0; i < 3; ++i) inverse = inverse * (two - unit * inverse);
  WideFloat out = a * inverse;
  out.exponent -= b.exponent;
  out.negative = a.negative != b.negative;
  return out;
}

// The same for 1/sqrt(a): r + r (1 - a r^2) / 2.
WideFloat SquareRoot(const WideFloat& a) {
  if (a.is_zero()) return {};
  const int even = a.exponent & ~1;
  WideFloat unit = a;
  unit.exponent -= even;  // 0 or 1
  const double start = std::ldexp(static_cast<double>(unit.limbs[0]), unit.exponent - 64);
  const WideFloat one = WideFloat::OfInt(1);
  WideFloat inverse = WideFloat::Of(1.0 / std::sqrt(start));
  for (int i = 0; i < 3; ++i)
    inverse = inverse + (inverse * (one - unit * inverse * inverse)).Scaled(-1);
  return (unit * inverse).Scaled(even / 2);
}

double WideFloat::Rounded() const {
  if (is_zero()) return 0;
  if (exponent > 1024) return negative ? -HUGE_VAL : HUGE_VAL;
  // The result's last bit stands for 2^last; below the normal numbers it does not move.
  const int last = std::max(exponent - 53, -1074);
  const int kept = exponent - last;  // bits of the result, 53 or fewer
  if (kept < 0) return negative ? -0.0 : 0.0;
  uint64_t mantissa = kept == 0 ? 0 : limbs[0] >> (64 - kept);
  Limbs rest = limbs;  // what is cut off, its first bit worth a half
  rest[0] = kept == 0 ? limbs[0] : limbs[0] << kept;
  for (int i = 1; i < kLimbs && kept != 0; ++i) {
    rest[i - 1] |= limbs[i] >> (64 - kept);
    rest[i] = limbs[i] << kept;
  }
  Limbs distance = rest;  // from a half
  distance[0] ^= 1ULL << 63;
  const bool above = distance[0] >> 63 == 0;
  if (!above)
    for (uint64_t& limb : distance) limb = ~limb;
  const bool tie = (distance[0] | distance[1] | distance[2]) == 0 && distance[3] >> 24 == 0;
  if (tie ? (mantissa & 1) != 0 : above) ++mantissa;
  const double magnitude = std::ldexp(static_cast<double>(mantissa), last);
  return negative ? -magnitude : magnitude;
}

}  // namespace headrace::base
