#pragma once
// Pairs of doubles: a value is hi + lo, with |lo| at most half an ulp of hi, so 106 bits. Exact
// products are split by Veltkamp's way, since not every CPU has a fused multiply-add; none of it is
// right if a compiler fuses or reorders (-ffp-contract=off, no -ffast-math).

namespace headrace::base {

struct DoubleDouble {
  double hi = 0;
  double lo = 0;
};

// a + b exactly, if |a| >= |b| or a is 0.
inline DoubleDouble QuickSum(double a, double b) {
  const double sum = a + b;
  return {sum, b - (sum - a)};
}
// a + b exactly.
inline DoubleDouble ExactSum(double a, double b) {
  const double sum = a + b;
  const double part = sum - a;
  return {sum, (a - (sum - part)) + (b - part)};
}
// a * b exactly, unless it overflows or comes near the subnormal numbers.
inline DoubleDouble ExactProduct(double a, double b) {
  constexpr double kSplitter = 0x1p27 + 1;
  const double a_scaled = a * kSplitter;
  const double b_scaled = b * kSplitter;
  const double a_hi = a_scaled - (a_scaled - a);
  const double b_hi = b_scaled - (b_scaled - b);
  const double a_lo = a - a_hi;
  const double b_lo = b - b_hi;
  const double product = a * b;
  return {product, ((a_hi * b_hi - product) + a_hi * b_lo + a_lo * b_hi) + a_lo * b_lo};
}

inline DoubleDouble operator-(DoubleDouble a) { return {-a.hi, -a.lo}; }
inline DoubleDouble operator+(DoubleDouble a, double b) {
  const DoubleDouble sum = ExactSum(a.hi, b);
  return QuickSum(sum.hi, sum.lo + a.lo);
}
// Off by less than 2^-102 of |a| + |b|, where they have different signs, too.
inline DoubleDouble operator+(DoubleDouble a, DoubleDouble b) {
  const DoubleDouble high = ExactSum(a.hi, b.hi);
  const DoubleDouble low = ExactSum(a.lo, b.lo);
  const DoubleDouble sum = QuickSum(high.hi, high.lo + low.hi);
  return QuickSum(sum.hi, sum.lo + low.lo);
}
inline DoubleDouble operator-(DoubleDouble a, DoubleDouble b) { return a + -b; }
inline DoubleDouble operator*(DoubleDouble a, DoubleDouble b) {
  const DoubleDouble product = ExactProduct(a.hi, b.hi);
  return QuickSum(product.hi, product.lo + (a.hi * b.lo + a.lo * b.hi));
}
inline DoubleDouble operator*(DoubleDouble a, double b) {
  const DoubleDouble product = ExactProduct(a.hi, b);
  return QuickSum(product.hi, product.lo + a.lo * b);
}
// Off by less than 2^-100 of the quotient.
inline DoubleDouble operator/(DoubleDouble a, DoubleDouble b) {
  const double first = a.hi / b.hi;
  const DoubleDouble product = ExactProduct(first, b.hi);
  const double rest = ((a.hi - product.hi) - product.lo) + (a.lo - first * b.lo);
  return QuickSum(first, rest / b.hi);
}

}  // namespace headrace::base
