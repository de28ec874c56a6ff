#pragma once
// The weight of a row in decayed sums: 2^(-age / half-life).

#include <cstdint>

namespace headrace::pipeline {

// Rows of this many half-lives or more weigh nothing.
constexpr uint64_t kDecayHalfLivesMax = 1022;

// Both in one unit; `half_life` is above 0 and below 2^53. The relative error is below 2^-51. Only
// additions, multiplications and one division, in a fixed order: the same bits on every machine.
double DecayWeight(uint64_t age, uint64_t half_life);

}  // namespace headrace::pipeline
