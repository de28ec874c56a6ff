// 1. The age in half-lives: whole ones, and a fraction f in [0, 1).
// 2. 2^-f by the series of exp(-f ln 2), 18 terms: the rest is below 2^-61.
// 3. Whole half-lives only lower the exponent.

#include "pipeline/aggregates/decay.h"

#include <array>
#include <bit>
#include <cstddef>

namespace headrace::pipeline {
namespace {

// (-ln 2)^n / n!, each rounded to the nearest double.
constexpr std::array kSeries = {
    0x1.0000000000000p+0,  -0x1.62e42fefa39efp-1,  0x1.ebfbdff82c58fp-3,  -0x1.c6b08d704a0c0p-5,
    0x1.3b2ab6fba4e77p-7,  -0x1.5d87fe78a6731p-10, 0x1.430912f86c787p-13, -0x1.ffcbfc588b0c7p-17,
    0x1.62c0223a5c824p-20, -0x1.b5253d395e7c4p-24, 0x1.e4cf5158b8ecap-28, -0x1.e8cac7351bb25p-32,
    0x1.c3bd650fc2986p-36, -0x1.816193166d0f9p-40, 0x1.314964d5878a9p-44, -0x1.c36e843b04022p-49,
    0x1.38e89ae79f8b4p-53, -0x1.98444b41c25a8p-58};

}  // namespace

double DecayWeight(uint64_t age, uint64_t half_life) {
  const uint64_t whole = age / half_life;
  if (whole >= kDecayHalfLivesMax) return 0;
  const double f = static_cast<double>(age % half_life) / static_cast<double>(half_life);
  double weight = kSeries.back();
  for (size_t i = kSeries.size() - 1; i-- > 0;) weight = weight * f + kSeries[i];
  return weight * std::bit_cast<double>((1023 - whole) << 52);
}

}  // namespace headrace::pipeline
