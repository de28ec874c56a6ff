#pragma once
// The functions of rounded_math in pairs of doubles, by tables and short polynomials. Each says how
// far off it may be, relatively; the test holds each to an eighth of that.

#include "base/mathematics/double_double.h"

namespace headrace::base {

// A value of `value` * 2^exponent.
struct ScaledValue {
  DoubleDouble value;
  int exponent = 0;
};

constexpr double kQuickExpError = 0x1p-69;  // of an argument without error
constexpr double kQuickLogError = 0x1p-75;
constexpr double kQuickPowError = 0x1p-67;
constexpr double kQuickCircleError = 0x1p-65;
constexpr double kQuickAtanError = 0x1p-64;

// |x| < 800; the value is near 1.
ScaledValue QuickExp(DoubleDouble x);
// x is positive and finite.
DoubleDouble QuickLog(double x);

// Sine and cosine of one angle, |x| <= kQuickAngleMax. Either has the error only if it is at least
// kQuickCircleMin, or the angle is within kQuickUnreducedMax.
constexpr double kQuickAngleMax = 400'000;
constexpr double kQuickCircleMin = 0x1p-13;
constexpr double kQuickUnreducedMax = 0x1p-8;
DoubleDouble QuickSin(double x);
DoubleDouble QuickCos(double x);

// The angle of (x, y), where both are at least 0 and not far from 1 in exponent.
DoubleDouble QuickAtan2(DoubleDouble y, DoubleDouble x);
// sqrt((1 - x) (1 + x))
DoubleDouble QuickCathetus(double x);

// A third way before these: the first terms alone in pairs, in a fraction of the time, enough for
// all but one call in 30. Off by up to kRoughError, absolutely, where |value| is at least
// kRoughMin.
constexpr double kRoughError = 0x1p-58;
constexpr double kRoughMin = 0x1p-3;
ScaledValue RoughExp(double x);
DoubleDouble RoughLog(double x);  // x is a normal number
DoubleDouble RoughSin(double x);
DoubleDouble RoughCos(double x);

// The same for small arguments, by the power series alone: off by up to kSmallError, relatively,
// for |x| up to kSmallMax.
constexpr double kSmallError = 0x1p-57;
constexpr double kSmallMax = 0x1p-3;
DoubleDouble SmallSin(double x);
DoubleDouble SmallAsin(double x);

}  // namespace headrace::base
