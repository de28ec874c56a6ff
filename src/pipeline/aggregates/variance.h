#pragma once
// Variance and standard deviation from exact sums, by one formula:
//
//   variance = (n * sum of squares - (sum)^2) / divisor, divisor = n^2 or n * (n - 1)
//
// The numerator is an exact integer times a power of two and never negative; it is rounded once,
// half to even. Then come one division, and for the deviation one square root, each rounded once as
// IEEE 754 says. So the bits are a function of the set of values; a variance is within two units of
// the last place of the true one (when it is a normal double), a deviation too. The numerator's
// exponent is kept aside, so that only a result beyond the doubles overflows, to infinity.

#include <cstdint>

#include "pipeline/aggregates/exact_squares.h"
#include "pipeline/aggregates/exact_sum.h"

namespace headrace::pipeline {

enum class Spread : uint8_t { kVariance, kDeviation };
enum class Divisor : uint8_t { kPopulation, kSample };

// Of `count` finite values: at least 1, for samples at least 2.
double SpreadOf(uint64_t count, const Magnitude& sum, const Magnitude& squares, Spread spread,
                Divisor divisor);

}  // namespace headrace::pipeline
