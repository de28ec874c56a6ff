// Power series, after the argument has been brought near 0:
//   exp    x = k ln 2 + r, then r / 2^12, and the result squared 12 times
//   log    x = m 2^e with m near 1, then 2 atanh((m - 1) / (m + 1))
//   sin    x - q pi/2 by as many bits of 2/pi as any double can need
//   atan   halved: atan t = 2 atan(t / (1 + sqrt(1 + t^2)))
#include "base/mathematics/accurate_math.h"

#include <cmath>
#include <cstddef>

namespace headrace::base {
namespace {

constexpr int kLimbs = WideFloat::kLimbs;
__extension__ using uint128 = unsigned __int128;

const WideFloat& One() {
  static const WideFloat kOne = WideFloat::OfInt(1);
  return kOne;
}

bool IsNegligible(const WideFloat& term, const WideFloat& sum) {
  return term.is_zero() || term.exponent < sum.exponent - WideFloat::kBits - 4;
}

// z + z^3/3 + z^5/5 + ..., or with changing signs.
enum class Signs { kAllPlus, kChanging };
WideFloat OddSeries(const WideFloat& z, Signs signs) {
  WideFloat square = z * z;
  if (signs == Signs::kChanging) square = -square;
  WideFloat sum = z;
  WideFloat power = z;
  for (uint64_t n = 3;; n += 2) {
    power = power * square;
    const WideFloat term = DividedBy(power, n);
    if (IsNegligible(term, sum)) return sum;
    sum = sum + term;
  }
}

// first + first * x / ((n+1)(n+2)) + ...: the series of sine (from n = 1) and cosine (from 0).
WideFloat CircleSeries(const WideFloat& first, const WideFloat& minus_square, uint64_t n) {
  WideFloat sum = first;
  WideFloat term = first;
  for (;; n += 2) {
    term = DividedBy(term * minus_square, (n + 1) * (n + 2));
    if (IsNegligible(term, sum)) return sum;
    sum = sum + term;
  }
}

// The first 1,536 bits of 2/pi.
constexpr int kTwoOverPiLimbs = 24;
constexpr std::array<uint64_t, kTwoOverPiLimbs> kTwoOverPi = {
    0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041, 0xfe5163abdebbc561,
    0xb7246e3a424dd2e0, 0x06492eea09d1921c, 0xfe1deb1cb129a73e, 0xe88235f52ebb4484,
    0xe99c7026b45f7e41, 0x3991d639835339f4, 0x9c845f8bbdf9283b, 0x1ff897ffde05980f,
    0xef2f118b5a0a6d1f, 0x6d367ecf27cb09b7, 0x4f463f669e5fea2d, 0x7527bac7ebe5f17b,
    0x3d0739f78a5292ea, 0x6bfb5fb11f8d5d08, 0x56033046fc7b6bab, 0xf0cfbc209af4361d,
    0xa9e391615ee61b08, 0x6599855f14a06840, 0x8dffd8804d732731, 0x06061556ca73a8c9};

// x = quadrant * pi/2 + rest, |rest| <= pi/4.
struct Reduced {
  int quadrant;  // modulo 4
  WideFloat rest;
};

Reduced Reduce(double x) {
  if (std::fabs(x) < 0.75) return {0, WideFloat::Of(x)};
  // |x| = mantissa * 2^scale; mantissa * kTwoOverPi is an integer of 25 limbs, whose last
  // `fraction` bits come after the point of x * 2/pi.
  int exponent = 0;
  const auto mantissa = static_cast<uint64_t>(std::ldexp(std::frexp(std::fabs(x), &exponent), 53));
  std::array<uint64_t, kTwoOverPiLimbs + 2> product{};  // one more in front, for the shifts
  uint64_t carry = 0;
  for (int i = kTwoOverPiLimbs - 1; i >= 0; --i) {
    const uint128 t = uint128{mantissa} * kTwoOverPi[i] + carry;
    product[i + 2] = static_cast<uint64_t>(t);
    carry = static_cast<uint64_t>(t >> 64);
  }
  product[1] = carry;
  const int fraction = 64 * kTwoOverPiLimbs - (exponent - 53);
  const int first = 64 * (kTwoOverPiLimbs + 2) - fraction;  // bits before the point
  const auto bits_from = [&](int bit) {
    const size_t limb = static_cast<size_t>(bit) / 64;
    const int shift = bit % 64;
    if (limb >= product.size()) return uint64_t{0};
    const uint64_t next = limb + 1 < product.size() ? product[limb + 1] : 0;
    return shift == 0 ? product[limb] : product[limb] << shift | next >> (64 - shift);
  };
  auto quadrant = static_cast<int>(bits_from(first - 2) >> 62);
  // Twice the limbs, as many leading bits may be 0 (or 1, just below the next quadrant).
  std::array<uint64_t, 2 * kLimbs> after{};
  for (int i = 0; i < 2 * kLimbs; ++i) after[i] = bits_from(first + 64 * i);
  const bool up = after[0] >> 63 != 0;
  if (up) {
    quadrant = (quadrant + 1) & 3;
    for (uint64_t& limb : after) limb = ~limb;
  }
  int skip = 0;
  while (after[skip] == 0) ++skip;
  std::array<uint64_t, kLimbs> kept{};
  for (int i = 0; i < kLimbs; ++i) kept[i] = after[skip + i];
  WideFloat rest = WideFloat::OfFraction(kept).Scaled(-64 * skip) * WidePi().Scaled(-1);
  rest.negative = up;
  if (x < 0) {
    quadrant = (4 - quadrant) & 3;
    rest.negative = !rest.negative;
  }
  return {quadrant, rest};
}

WideFloat SinOfQuadrant(const Reduced& reduced, int further) {
  const int quadrant = (reduced.quadrant + further) & 3;
  const WideFloat minus_square = -(reduced.rest * reduced.rest);
  const WideFloat value = (quadrant & 1) == 0 ? CircleSeries(reduced.rest, minus_square, 1)
                                              : CircleSeries(One(), minus_square, 0);
  return quadrant >= 2 ? -value : value;
}

// t > 0.
WideFloat AtanOf(const WideFloat& t) {
  if (IsSmaller(One(), t)) return WidePi().Scaled(-1) - AtanOf(One() / t);
  WideFloat small = t;
  int halvings = 0;
  for (; small.exponent > -3; ++halvings)
    small = small / (One() + SquareRoot(One() + small * small));
  return OddSeries(small, Signs::kChanging).Scaled(halvings);
}

}  // namespace

// Machin's formula.
const WideFloat& WidePi() {
  static const WideFloat kPi = (OddSeries(DividedBy(One(), 5), Signs::kChanging).Scaled(2) -
                                OddSeries(DividedBy(One(), 239), Signs::kChanging))
                                   .Scaled(2);
  return kPi;
}
const WideFloat& WideLn2() {
  static const WideFloat kLn2 = OddSeries(DividedBy(One(), 3), Signs::kAllPlus).Scaled(1);
  return kLn2;
}
const WideFloat& WideLn10() {
  static const WideFloat kLn10 = WideLog(10);
  return kLn10;
}

WideFloat WideExp(const WideFloat& x) {
  if (x.is_zero()) return One();
  const double quotient = (x / WideLn2()).Rounded();
  const auto k = static_cast<int64_t>(std::nearbyint(quotient));
  constexpr int kSquarings = 12;
  const WideFloat rest = (x - WideFloat::OfInt(k) * WideLn2()).Scaled(-kSquarings);
  WideFloat sum = One();
  WideFloat term = One();
  for (uint64_t n = 1;; ++n) {
    term = DividedBy(term * rest, n);
    if (IsNegligible(term, sum)) break;
    sum = sum + term;
  }
  for (int i = 0; i < kSquarings; ++i) sum = sum * sum;
  return sum.Scaled(static_cast<int>(k));
}

WideFloat WideLog(double x) {
  int exponent = 0;
  double mantissa = std::frexp(x, &exponent);
  if (mantissa < 0.70710678) {
    mantissa *= 2;
    --exponent;
  }
  const WideFloat m = WideFloat::Of(mantissa);
  const WideFloat of_mantissa = OddSeries((m - One()) / (m + One()), Signs::kAllPlus).Scaled(1);
  return of_mantissa + WideFloat::OfInt(exponent) * WideLn2();
}

WideFloat WidePow(double x, double y) { return WideExp(WideFloat::Of(y) * WideLog(x)); }

WideFloat WideSin(double x) { return SinOfQuadrant(Reduce(x), 0); }
WideFloat WideCos(double x) { return SinOfQuadrant(Reduce(x), 1); }
WideFloat WideTan(double x) {
  const Reduced reduced = Reduce(x);
  return SinOfQuadrant(reduced, 0) / SinOfQuadrant(reduced, 1);
}

WideFloat WideAtan2(const WideFloat& y, const WideFloat& x) {
  if (x.is_zero()) return WidePi().Scaled(-1);
  if (y.is_zero()) return x.negative ? WidePi() : WideFloat{};
  WideFloat magnitude = x;
  magnitude.negative = false;
  const WideFloat t = y / magnitude;
  // The cube of a tiny quotient is lost, but says that a tie is none; other quotients of doubles
  // are further from one than this.
  constexpr int kTiny = -200;
  const WideFloat angle = t.exponent < kTiny ? t - t.Scaled(-150) : AtanOf(t);
  return x.negative ? WidePi() - angle : angle;
}

WideFloat WideAsin(double x) {
  const WideFloat y = WideFloat::Of(std::fabs(x));
  WideFloat angle = WideAtan2(y, SquareRoot((One() - y) * (One() + y)));
  angle.negative = x < 0;
  return angle;
}

WideFloat WideAcos(double x) {
  const WideFloat c = WideFloat::Of(x);
  return WideAtan2(SquareRoot((One() - c) * (One() + c)), c);
}

}  // namespace headrace::base
