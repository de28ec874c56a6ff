#include "base/mathematics/rounded_math.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

#include "base/mathematics/accurate_math.h"
#include "base/mathematics/quick_math.h"

namespace headrace::base {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The one double that all of value * (1 +- error) rounds to, if there is one.
bool RoundsTo(DoubleDouble value, double error, double* out) {
  const double off = std::fabs(value.hi) * error;
  *out = value.hi + (value.lo + off);
  return *out == value.hi + (value.lo - off);
}

bool IsRoughEnough(DoubleDouble value, double* out) {
  if (std::fabs(value.hi) < kRoughMin) return false;
  *out = value.hi + (value.lo + kRoughError);
  return *out == value.hi + (value.lo - kRoughError);
}

// Away from the ends of the range, where products are exact and results normal.
bool IsOrdinary(double x) { return std::fabs(x) > 0x1p-200 && std::fabs(x) < 0x1p200; }

// Times 2^exponent, where that is a normal number.
bool Scale(int exponent, double* out) {
  if (exponent < -1000 || exponent > 1000) return false;
  *out *= std::bit_cast<double>(static_cast<uint64_t>(1023 + exponent) << 52);
  return true;
}

const DoubleDouble& OverLn10() {
  static const DoubleDouble kValue = [] {
    const WideFloat value = WideFloat::OfInt(1) / WideLn10();
    const double hi = value.Rounded();
    return DoubleDouble{hi, (value - WideFloat::Of(hi)).Rounded()};
  }();
  return kValue;
}
const DoubleDouble& OverLn2() {
  static const DoubleDouble kValue = [] {
    const WideFloat value = WideFloat::OfInt(1) / WideLn2();
    const double hi = value.Rounded();
    return DoubleDouble{hi, (value - WideFloat::Of(hi)).Rounded()};
  }();
  return kValue;
}

// What logarithms have in common; true when `out` is the answer.
bool LogOfSpecial(double x, double* out) {
  if (x > 0 && x < kInfinity && x != 1) return false;
  *out = x == 1 ? 0 : x == 0 ? -kInfinity : x > 0 ? x : kNaN;
  return true;
}

bool IsOddInteger(double y) {
  return std::fabs(y) < 0x1p53 && std::fmod(y, 2) != 0 && std::trunc(y) == y;
}

// IEEE 754, 9.2.1: all that a formula would get wrong. True when `out` is the answer.
bool PowOfSpecial(double x, double y, double* out) {
  if (y == 0 || x == 1) return *out = 1, true;
  if (x != x || y != y) return *out = kNaN, true;
  const double magnitude = std::fabs(x);
  if (std::isinf(y)) {
    *out = magnitude == 1 ? 1 : (magnitude > 1) == (y > 0) ? kInfinity : 0;
    return true;
  }
  if (magnitude == 0 || std::isinf(x)) {
    *out = (magnitude == 0) == (y > 0) ? 0 : kInfinity;
    if (IsOddInteger(y)) *out = std::copysign(*out, x);
    return true;
  }
  if (x < 0 && std::trunc(y) != y) return *out = kNaN, true;
  return false;
}

double AngleOf(DoubleDouble y, DoubleDouble x, bool* good) {
  double out = 0;
  *good = RoundsTo(QuickAtan2(y, x), kQuickAtanError, &out);
  return out;
}

}  // namespace

double Exp(double x) {
  if (x != x) return kNaN;
  if (x > 710) return kInfinity;
  if (x < -746) return 0;
  if (std::fabs(x) < 0x1p-60) return 1;
  double out = 0;
  const ScaledValue rough = RoughExp(x);
  if (IsRoughEnough(rough.value, &out) && Scale(rough.exponent, &out)) return out;
  const ScaledValue quick = QuickExp({x, 0});
  if (RoundsTo(quick.value, kQuickExpError, &out) && Scale(quick.exponent, &out)) return out;
  return WideExp(WideFloat::Of(x)).Rounded();
}

double Log(double x) {
  double out = 0;
  if (LogOfSpecial(x, &out)) return out;
  if (x >= 0x1p-1022 && IsRoughEnough(RoughLog(x), &out)) return out;
  if (RoundsTo(QuickLog(x), kQuickLogError, &out)) return out;
  return WideLog(x).Rounded();
}

double Log2(double x) {
  double out = 0;
  if (LogOfSpecial(x, &out) || RoundsTo(QuickLog(x) * OverLn2(), 2 * kQuickLogError, &out))
    return out;
  return (WideLog(x) / WideLn2()).Rounded();
}

double Log10(double x) {
  double out = 0;
  if (LogOfSpecial(x, &out) || RoundsTo(QuickLog(x) * OverLn10(), 2 * kQuickLogError, &out))
    return out;
  return (WideLog(x) / WideLn10()).Rounded();
}

double Pow(double x, double y) {
  double out = 0;
  if (PowOfSpecial(x, y, &out)) return out;
  const double sign = x < 0 && IsOddInteger(y) ? -1 : 1;
  const double magnitude = std::fabs(x);
  if (magnitude == 1) return sign;
  const DoubleDouble log = QuickLog(magnitude);
  const double estimate = log.hi * y;
  if (estimate > 711) return sign * kInfinity;
  if (estimate < -747) return sign * 0.0;
  if (std::fabs(estimate) < 0x1p-60) return sign;
  const bool ordinary = IsOrdinary(y) && IsOrdinary(log.hi);
  if (ordinary) {
    const ScaledValue quick = QuickExp(log * y);
    if (RoundsTo(quick.value, kQuickPowError, &out) && Scale(quick.exponent, &out))
      return sign * out;
  }
  return sign * WidePow(magnitude, y).Rounded();
}

double Sin(double x) {
  if (x == 0) return x;
  if (!(std::fabs(x) < kInfinity)) return kNaN;
  double out = 0;
  if (std::fabs(x) <= kQuickAngleMax && IsOrdinary(x)) {
    const bool small = std::fabs(x) <= kSmallMax;
    if (small ? RoundsTo(SmallSin(x), kSmallError, &out) : IsRoughEnough(RoughSin(x), &out))
      return out;
    const DoubleDouble value = QuickSin(x);
    const bool good = std::fabs(value.hi) >= kQuickCircleMin || std::fabs(x) <= kQuickUnreducedMax;
    if (good && RoundsTo(value, kQuickCircleError, &out)) return out;
  }
  return WideSin(x).Rounded();
}

double Cos(double x) {
  if (!(std::fabs(x) < kInfinity)) return kNaN;
  if (std::fabs(x) < 0x1p-40) return 1;
  double out = 0;
  if (std::fabs(x) <= kQuickAngleMax) {
    if (IsRoughEnough(RoughCos(x), &out)) return out;
    const DoubleDouble value = QuickCos(x);
    if (std::fabs(value.hi) >= kQuickCircleMin && RoundsTo(value, kQuickCircleError, &out))
      return out;
  }
  return WideCos(x).Rounded();
}

double Tan(double x) {
  if (x == 0) return x;
  if (!(std::fabs(x) < kInfinity)) return kNaN;
  double out = 0;
  if (std::fabs(x) <= kQuickAngleMax && IsOrdinary(x)) {
    const DoubleDouble sine = QuickSin(x);
    const DoubleDouble cosine = QuickCos(x);
    const bool good =
        std::fabs(x) <= kQuickUnreducedMax ||
        (std::fabs(sine.hi) >= kQuickCircleMin && std::fabs(cosine.hi) >= kQuickCircleMin);
    if (good && RoundsTo(sine / cosine, 4 * kQuickCircleError, &out)) return out;
  }
  return WideTan(x).Rounded();
}

double Atan(double x) {
  if (x == 0 || x != x) return x;
  if (std::isinf(x)) return std::copysign(std::numbers::pi / 2, x);
  const double magnitude = std::fabs(x);
  bool good = IsOrdinary(x);
  double out = good ? AngleOf({magnitude, 0}, {1, 0}, &good) : 0;
  if (!good) out = WideAtan2(WideFloat::Of(magnitude), WideFloat::OfInt(1)).Rounded();
  return std::copysign(out, x);
}

double Asin(double x) {
  if (x == 0) return x;
  const double magnitude = std::fabs(x);
  if (!(magnitude <= 1)) return kNaN;
  bool good = IsOrdinary(x);
  double out = 0;
  if (good && magnitude <= kSmallMax && RoundsTo(SmallAsin(x), kSmallError, &out)) return out;
  out = good ? AngleOf({magnitude, 0}, QuickCathetus(magnitude), &good) : 0;
  if (!good) out = WideAsin(magnitude).Rounded();
  return std::copysign(out, x);
}

double Acos(double x) {
  const double magnitude = std::fabs(x);
  if (!(magnitude <= 1)) return kNaN;
  if (x == 1) return 0;
  double out = 0;
  if (IsOrdinary(x)) {
    DoubleDouble angle = QuickAtan2(QuickCathetus(magnitude), {magnitude, 0});
    if (x < 0) angle = QuickAtan2({0, 0}, {1, 0}) - angle + QuickAtan2({1, 0}, {0, 0}) * 2.0;
    if (RoundsTo(angle, 2 * kQuickAtanError, &out)) return out;
  }
  return WideAcos(x).Rounded();
}

double Atan2(double y, double x) {
  if (x != x || y != y) return kNaN;
  const bool back = std::signbit(x);
  if (y == 0) return back ? std::copysign(std::numbers::pi, y) : y;
  if (std::isinf(y)) {
    const double eighths = !std::isinf(x) ? 2 : back ? 3 : 1;
    return std::copysign(eighths * std::numbers::pi / 4, y);
  }
  if (std::isinf(x)) return std::copysign(back ? std::numbers::pi : 0, y);
  const double height = std::fabs(y);
  double out = 0;
  if (IsOrdinary(y) && IsOrdinary(x)) {
    DoubleDouble angle = QuickAtan2({height, 0}, {std::fabs(x), 0});
    if (back) angle = QuickAtan2({1, 0}, {0, 0}) * 2.0 - angle;
    if (RoundsTo(angle, 2 * kQuickAtanError, &out)) return std::copysign(out, y);
  }
  return std::copysign(WideAtan2(WideFloat::Of(height), WideFloat::Of(x)).Rounded(), y);
}

}  // namespace headrace::base
