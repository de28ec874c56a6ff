#pragma once
// Mathematical functions whose results are those of exact arithmetic rounded once, to nearest and
// ties to even: the same bits on every CPU and from every compiler, and for as long as the word
// "nearest" keeps its meaning (docs/adr/0017-rounded-mathematics.md).
//
// 1. Special values (zeros, infinities, NaN) are as in IEEE 754-2019 and C's Annex F.
// 2. A quick way computes in pairs of doubles with a proven bound on its error, and answers if all
//    of the interval rounds to one double (all but about one call in 10,000).
// 3. Otherwise 320 bits decide (accurate_math.h), which no known argument needs more than half of.
//
// Thread-safe; nothing allocates. Angles are in radians. What does not exist is NaN.

namespace headrace::base {

double Exp(double x);
double Log(double x);  // natural
double Log2(double x);
double Log10(double x);
double Pow(double x, double y);
double Sin(double x);
double Cos(double x);
double Tan(double x);
double Asin(double x);
double Acos(double x);
double Atan(double x);
double Atan2(double y, double x);

}  // namespace headrace::base
