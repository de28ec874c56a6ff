// 1. A table, made by the accurate functions when it is first needed, brings the argument near 0.
// 2. There, the first terms of the power series are computed in pairs, the rest in doubles: what is
//    small may have few right bits.
#include "base/mathematics/quick_math.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/mathematics/accurate_math.h"

namespace headrace::base {
namespace {

DoubleDouble PairOf(const WideFloat& value) {
  const double hi = value.Rounded();
  return {hi, (value - WideFloat::Of(hi)).Rounded()};
}

// The nearest whole number, as a double; |x| < 2^51.
double Nearest(double x) {
  constexpr double kShift = 0x1.8p52;
  return (x + kShift) - kShift;
}

// `value` in pieces: the first two of so few bits that their products with small whole numbers are
// exact.
struct Pieces {
  Pieces(const WideFloat& value, int bits) {
    first = Cut(value, bits);
    const WideFloat rest = value - WideFloat::Of(first);
    second = Cut(rest, bits);
    third = (rest - WideFloat::Of(second)).Rounded();
  }
  static double Cut(const WideFloat& value, int bits) {
    const double nearest = value.Rounded();
    const double grain = std::ldexp(1.0, std::ilogb(nearest) + 1 - bits);
    return std::nearbyint(nearest / grain) * grain;
  }
  double first;
  double second;
  double third;
};

// exp: 2^(j/128).
constexpr int kExpSteps = 128;
struct ExpTable {
  ExpTable() : step(WideLn2().Scaled(-7), 33) {
    for (int j = 0; j < kExpSteps; ++j)
      powers[j] = PairOf(WideExp(WideFloat::OfInt(j) * WideLn2().Scaled(-7)));
  }
  std::array<DoubleDouble, kExpSteps> powers;
  Pieces step;  // ln 2 / 128
};
const ExpTable& TheExpTable() {
  static const ExpTable kTable;
  return kTable;
}

// log: in two steps, so that what is left is below 2^-13.
constexpr int kLogSteps = 128;
constexpr int kLogFineSteps = 160;  // on either side
struct LogTable {
  LogTable() : ln2(WideLn2(), 40) {
    for (int j = 0; j < kLogSteps; ++j) {
      const double centre = 1 + (j + 0.5) / kLogSteps;
      double inverse = std::nearbyint(512 / centre) / 512;
      if (j == 0) inverse = 1;
      if (j == kLogSteps - 1) inverse = 0.5;
      inverses[j] = inverse;
      // From sqrt(2) on the number is taken as half of itself.
      const double whole = centre > 1.41421356 ? 2 * inverse : inverse;
      logs[j] = whole == 1 ? DoubleDouble{} : PairOf(-WideLog(whole));
    }
    for (int j = -kLogFineSteps; j <= kLogFineSteps; ++j)
      fine_logs[j + kLogFineSteps] = j == 0 ? DoubleDouble{} : PairOf(-WideLog(1 + j * 0x1p-14));
  }
  std::array<double, kLogSteps> inverses;
  std::array<DoubleDouble, kLogSteps> logs;
  std::array<DoubleDouble, 2 * kLogFineSteps + 1> fine_logs;
  Pieces ln2;
};
const LogTable& TheLogTable() {
  static const LogTable kTable;
  return kTable;
}

// sin: of j pi/256, the whole circle.
constexpr int kCircleSteps = 512;
struct CircleTable {
  CircleTable() : step(WidePi().Scaled(-8), 27) {
    for (int j = 0; j < kCircleSteps; ++j) {
      const int in_quarter = j % 128;
      const WideFloat angle = WidePi().Scaled(-8) * WideFloat::OfInt(in_quarter);
      const WideFloat other = WidePi().Scaled(-8) * WideFloat::OfInt(128 - in_quarter);
      const bool rising = j / 128 % 2 == 0;
      const DoubleDouble value = PairOf(SinOfSmall(rising ? angle : other));
      sines[j] = j < 256 ? value : -value;
    }
  }
  static WideFloat SinOfSmall(const WideFloat& angle) {
    WideFloat sum = angle;
    WideFloat term = angle;
    const WideFloat minus_square = -(angle * angle);
    for (uint64_t n = 1; !term.is_zero() && term.exponent > -170; n += 2) {
      term = DividedBy(term * minus_square, (n + 1) * (n + 2));
      sum = sum + term;
    }
    return sum;
  }
  std::array<DoubleDouble, kCircleSteps> sines;
  Pieces step;  // pi / 256
};
const CircleTable& TheCircleTable() {
  static const CircleTable kTable;
  return kTable;
}

// atan: of j/128.
constexpr int kAtanSteps = 128;
struct AtanTable {
  AtanTable() : half_pi(PairOf(WidePi().Scaled(-1))) {
    for (int j = 1; j <= kAtanSteps; ++j)
      angles[j] = PairOf(WideAtan2(WideFloat::OfInt(j), WideFloat::OfInt(kAtanSteps)));
  }
  std::array<DoubleDouble, kAtanSteps + 1> angles;
  DoubleDouble half_pi;
};
const AtanTable& TheAtanTable() {
  static const AtanTable kTable;
  return kTable;
}

// What the angle is away from a step of the table.
struct Angle {
  DoubleDouble rest;
  unsigned step;
};
Angle NearStep(double x) {
  const Pieces& step = TheCircleTable().step;
  const double k = Nearest(x * (256 / 3.14159265358979323846));
  const DoubleDouble high = ExactSum(x - k * step.first, -(k * step.second));
  return {high + -ExactProduct(k, step.third), static_cast<unsigned>(static_cast<int64_t>(k))};
}

// sin(step + rest), by the sine and the cosine of the step.
DoubleDouble SinFrom(const Angle& angle, unsigned further) {
  const auto& sines = TheCircleTable().sines;
  const DoubleDouble s = sines[(angle.step + further) % kCircleSteps];
  const DoubleDouble c = sines[(angle.step + further + 128) % kCircleSteps];
  const DoubleDouble r = angle.rest;
  const DoubleDouble square = r * r;
  const double q = square.hi;
  // sin r - r and 1 - cos r - r^2/2
  const double odd = r.hi * q * (-1.0 / 6 + q * (1.0 / 120 + q * (-1.0 / 5040 + q / 362880)));
  const double even = q * q * (1.0 / 24 + q * (-1.0 / 720 + q / 40320));
  const DoubleDouble sine = QuickSum(r.hi, r.lo + odd);
  if (s.hi == 0) return c.hi > 0 ? sine : -sine;
  const DoubleDouble change = c * sine - s * DoubleDouble{square.hi / 2, square.lo / 2};
  return s + QuickSum(change.hi, change.lo + s.hi * even);
}

// The same with doubles alone, but for the first terms.
DoubleDouble RoughSinFrom(double x, unsigned further) {
  const CircleTable& table = TheCircleTable();
  const double k = Nearest(x * (256 / 3.14159265358979323846));
  const auto step = static_cast<unsigned>(static_cast<int64_t>(k)) + further;
  const DoubleDouble s = table.sines[step % kCircleSteps];
  const DoubleDouble c = table.sines[(step + 128) % kCircleSteps];
  const DoubleDouble high = ExactSum(x - k * table.step.first, -(k * table.step.second));
  const DoubleDouble rest = QuickSum(high.hi, high.lo - k * table.step.third);
  const double r = rest.hi;
  const double q = r * r;
  const double odd = r * q * (-1.0 / 6 + q * (1.0 / 120 + q * (-1.0 / 5040)));
  const double even = q * (0.5 + q * (-1.0 / 24 + q * (1.0 / 720)));
  return QuickSum(s.hi, c.hi * r + (s.lo + (c.hi * (odd + rest.lo) + c.lo * r) - s.hi * even));
}

}  // namespace

ScaledValue QuickExp(DoubleDouble x) {
  const ExpTable& table = TheExpTable();
  const double k = Nearest(x.hi * (kExpSteps / 0.693147180559945309417));
  const DoubleDouble high = ExactSum(x.hi - k * table.step.first, -(k * table.step.second));
  const DoubleDouble r = high + DoubleDouble{x.lo, 0} - ExactProduct(k, table.step.third);
  const DoubleDouble square = ExactProduct(r.hi, r.hi);
  const double cube = r.hi * square.hi;
  const double tail =
      cube *
      (1.0 / 6 + r.hi * (1.0 / 24 + r.hi * (1.0 / 120 + r.hi * (1.0 / 720 + r.hi * (1.0 / 5040)))));
  const DoubleDouble sum = QuickSum(r.hi, square.hi / 2);
  const DoubleDouble change =
      QuickSum(sum.hi, sum.lo + (r.lo + (square.lo / 2 + r.hi * r.lo) + tail));
  const auto whole = static_cast<int64_t>(k);
  const DoubleDouble power = table.powers[static_cast<size_t>(whole & (kExpSteps - 1))];
  return {power + power * change, static_cast<int>(whole >> 7)};
}

DoubleDouble QuickLog(double x) {
  const LogTable& table = TheLogTable();
  int exponent = 0;
  if (x < 0x1p-1022) {
    x *= 0x1p54;
    exponent = -54;
  }
  const auto bits = std::bit_cast<uint64_t>(x);
  exponent += static_cast<int>(bits >> 52) - 1023;
  const double mantissa =
      std::bit_cast<double>((bits & 0xFFFFFFFFFFFFFULL) | 0x3FF0000000000000ULL);
  const auto j = static_cast<size_t>(bits >> 45 & (kLogSteps - 1));
  if (j >= 53) ++exponent;  // from sqrt(2) on
  const DoubleDouble product = ExactProduct(mantissa, table.inverses[j]);
  const DoubleDouble first = QuickSum(product.hi - 1, product.lo);
  const double fine = -Nearest(first.hi * 0x1p14) * 0x1p-14;
  // (1 + first) (1 + fine) - 1
  const DoubleDouble z = first + fine + first * fine;
  const DoubleDouble square = z * z;
  const double cube = z.hi * square.hi;
  const double tail = cube * (1.0 / 3 - z.hi * (1.0 / 4 - z.hi * (1.0 / 5 - z.hi / 6)));
  const DoubleDouble series = z - DoubleDouble{square.hi / 2, square.lo / 2} + tail;
  const auto at = static_cast<size_t>(static_cast<int64_t>(fine * 0x1p14) + kLogFineSteps);
  const DoubleDouble steps = table.logs[j] + table.fine_logs[at];
  const double e = exponent;
  const DoubleDouble of_exponent =
      ExactSum(e * table.ln2.first, e * table.ln2.second) + ExactProduct(e, table.ln2.third);
  return of_exponent + steps + series;
}

ScaledValue RoughExp(double x) {
  const ExpTable& table = TheExpTable();
  const double k = Nearest(x * (kExpSteps / 0.693147180559945309417));
  const DoubleDouble high = ExactSum(x - k * table.step.first, -(k * table.step.second));
  const DoubleDouble rest = QuickSum(high.hi, high.lo - k * table.step.third);
  const double r = rest.hi;
  const double tail =
      r * r * (0.5 + r * (1.0 / 6 + r * (1.0 / 24 + r * (1.0 / 120 + r * (1.0 / 720)))));
  const auto whole = static_cast<int64_t>(k);
  const DoubleDouble power = table.powers[static_cast<size_t>(whole & (kExpSteps - 1))];
  const double low = power.hi * r + (power.hi * (tail + rest.lo) + power.lo);
  return {QuickSum(power.hi, low), static_cast<int>(whole >> 7)};
}

DoubleDouble RoughLog(double x) {
  const LogTable& table = TheLogTable();
  const auto bits = std::bit_cast<uint64_t>(x);
  const auto j = static_cast<size_t>(bits >> 45 & (kLogSteps - 1));
  const double e = static_cast<double>(static_cast<int>(bits >> 52) - (j >= 53 ? 1022 : 1023));
  // The mantissa in two parts, whose products with the table's ten bits are exact.
  const uint64_t mantissa = (bits & 0xFFFFFFFFFFFFFULL) | 0x3FF0000000000000ULL;
  const double front = std::bit_cast<double>(mantissa & ~0xFFFFFFFULL);
  const double back = std::bit_cast<double>(mantissa) - front;
  const double z = (front * table.inverses[j] - 1) + back * table.inverses[j];
  const double tail =
      z * z *
      (-0.5 +
       z * (1.0 / 3 - z * (1.0 / 4 - z * (1.0 / 5 - z * (1.0 / 6 - z * (1.0 / 7 - z / 8))))));
  const DoubleDouble steps = ExactSum(e * table.ln2.first, table.logs[j].hi);
  const double low = steps.lo + (e * table.ln2.second + table.logs[j].lo);
  return QuickSum(steps.hi, z + (low + tail));
}

DoubleDouble SmallSin(double x) {
  const double q = x * x;
  const double tail =
      q * (1.0 / 120 + q * (-1.0 / 5040 + q * (1.0 / 362880 + q * (-1.0 / 39916800))));
  return QuickSum(x, x * q * (-1.0 / 6 + tail));
}

DoubleDouble SmallAsin(double x) {
  constexpr double kTerms[] = {3.0 / 40,      5.0 / 112,     35.0 / 1152,    63.0 / 2816,
                               231.0 / 13312, 143.0 / 10240, 6435.0 / 557056};
  const double q = x * x;
  double tail = 12155.0 / 1245184;
  for (int i = 6; i >= 0; --i) tail = kTerms[i] + q * tail;
  return QuickSum(x, x * q * (1.0 / 6 + q * tail));
}

DoubleDouble RoughSin(double x) { return RoughSinFrom(x, 0); }
DoubleDouble RoughCos(double x) { return RoughSinFrom(x, 128); }
DoubleDouble QuickSin(double x) { return SinFrom(NearStep(x), 0); }
DoubleDouble QuickCos(double x) { return SinFrom(NearStep(x), 128); }

DoubleDouble QuickAtan2(DoubleDouble y, DoubleDouble x) {
  const AtanTable& table = TheAtanTable();
  const bool steep = y.hi > x.hi;
  if (steep) std::swap(y, x);
  const double step = Nearest(y.hi / x.hi * kAtanSteps);
  const double c = step / kAtanSteps;
  const DoubleDouble t = step == 0 ? y / x : (y - x * c) / (x + y * c);
  const double q = t.hi * t.hi;
  const double tail = t.hi * q * (-1.0 / 3 + q * (1.0 / 5 + q * (-1.0 / 7 + q / 9)));
  DoubleDouble angle = QuickSum(t.hi, t.lo + tail);
  if (step != 0) angle = table.angles[static_cast<size_t>(step)] + angle;
  return steep ? table.half_pi - angle : angle;
}

DoubleDouble QuickCathetus(double x) {
  const DoubleDouble square = ExactSum(1, -x) * ExactSum(1, x);
  const double root = std::sqrt(square.hi);
  if (root == 0) return {};
  const DoubleDouble rest = square - ExactProduct(root, root);
  return QuickSum(root, rest.hi / (2 * root));
}

}  // namespace headrace::base
