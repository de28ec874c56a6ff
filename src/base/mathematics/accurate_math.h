#pragma once
// The functions of rounded_math in 320 bits: some microseconds each, with relative errors below
// 2^-295. Arguments are finite and such that the function has a finite value other than 0.

#include "base/mathematics/wide_float.h"

namespace headrace::base {

const WideFloat& WidePi();
const WideFloat& WideLn2();
const WideFloat& WideLn10();

WideFloat WideExp(const WideFloat& x);  // |x| < 2^20
WideFloat WideLog(double x);            // x > 0, not 1
WideFloat WidePow(double x, double y);  // x > 0, not 1; the result's exponent fits in an int
WideFloat WideSin(double x);
WideFloat WideCos(double x);
WideFloat WideTan(double x);
WideFloat WideAtan2(const WideFloat& y, const WideFloat& x);  // y >= 0; not both 0
WideFloat WideAsin(double x);                                 // |x| <= 1
WideFloat WideAcos(double x);                                 // |x| <= 1, not 1

}  // namespace headrace::base
