#pragma once
// For tests: variance and standard deviation by other means than variance.h's: Boost's integers of
// any size, doubles in units of 2^-1074.

#include <cstdint>
#include <vector>

#include "pipeline/aggregates/variance.h"

namespace headrace::pipeline {

// The numerator rounded once to 53 bits, then one division, then one square root. Finite values;
// at least 1, for samples at least 2.
double ReferenceSpread(const std::vector<double>& values, Spread spread, Divisor divisor);
double ReferenceSpread(const std::vector<int64_t>& values, Spread spread, Divisor divisor);

}  // namespace headrace::pipeline
