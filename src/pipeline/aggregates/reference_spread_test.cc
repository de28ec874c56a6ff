#include "pipeline/aggregates/reference_spread.h"

#include <cmath>

#include <gtest/gtest.h>
#include <boost/multiprecision/cpp_int.hpp>

namespace headrace::pipeline {
namespace {

using AnyInteger = boost::multiprecision::cpp_int;

// Exactly, in units of 2^-1074. `v` is finite.
AnyInteger InUnits(double v) {
  int exponent = 0;
  const double mantissa = std::frexp(v, &exponent);
  const auto whole = static_cast<int64_t>(std::ldexp(mantissa, 53));
  const int shift = exponent - 53 + 1074;
  AnyInteger units = whole < 0 ? -whole : whole;
  if (shift >= 0) {
    units <<= static_cast<unsigned>(shift);
  } else {
    units >>= static_cast<unsigned>(-shift);  // zeros: a subnormal has no more bits
  }
  return whole < 0 ? -units : units;
}

// `unit` is the exponent of the values'.
double SpreadOfIntegers(const std::vector<AnyInteger>& values, int unit, Spread spread,
                        Divisor divisor) {
  AnyInteger sum = 0;
  AnyInteger squares = 0;
  for (const AnyInteger& v : values) {
    sum += v;
    squares += v * v;
  }
  const AnyInteger n = values.size();
  const AnyInteger numerator = n * squares - sum * sum;
  if (numerator == 0) return 0;
  const auto top = static_cast<int>(boost::multiprecision::msb(numerator));
  const int dropped = top > 52 ? top - 52 : 0;
  AnyInteger mantissa = numerator >> dropped;
  const AnyInteger rest = numerator - (mantissa << dropped);
  const AnyInteger half = dropped > 0 ? AnyInteger(1) << (dropped - 1) : AnyInteger(1);
  if (dropped > 0 && (rest > half || (rest == half && (mantissa & 1) != 0))) ++mantissa;
  const size_t others = values.size() - (divisor == Divisor::kSample ? 1 : 0);
  double quotient = static_cast<double>(static_cast<uint64_t>(mantissa)) /
                    (static_cast<double>(values.size()) * static_cast<double>(others));
  int exponent = 2 * unit + dropped;
  if (spread == Spread::kVariance) return std::ldexp(quotient, exponent);
  if (exponent % 2 != 0) {
    quotient *= 2;
    --exponent;
  }
  return std::ldexp(std::sqrt(quotient), exponent / 2);
}

TEST(ReferenceSpread, OfATextbook) {
  const std::vector<int64_t> values = {2, 4, 4, 4, 5, 5, 7, 9};
  EXPECT_EQ(ReferenceSpread(values, Spread::kDeviation, Divisor::kPopulation), 2.0);
  EXPECT_EQ(ReferenceSpread(std::vector<double>{-0.5, 0.5}, Spread::kVariance, Divisor::kSample),
            0.5);
}

}  // namespace

double ReferenceSpread(const std::vector<double>& values, Spread spread, Divisor divisor) {
  std::vector<AnyInteger> units;
  for (const double v : values) units.push_back(InUnits(v));
  return SpreadOfIntegers(units, -1074, spread, divisor);
}

double ReferenceSpread(const std::vector<int64_t>& values, Spread spread, Divisor divisor) {
  return SpreadOfIntegers({values.begin(), values.end()}, 0, spread, divisor);
}

}  // namespace headrace::pipeline
