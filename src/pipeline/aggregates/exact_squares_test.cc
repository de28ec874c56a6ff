#include "pipeline/aggregates/exact_squares.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "pipeline/aggregates/reference_spread.h"
#include "pipeline/aggregates/variance.h"

namespace headrace::pipeline {
namespace {

struct SpreadCase {
  Spread spread;
  Divisor divisor;
};
constexpr SpreadCase kCases[] = {{Spread::kVariance, Divisor::kPopulation},
                                 {Spread::kVariance, Divisor::kSample},
                                 {Spread::kDeviation, Divisor::kPopulation},
                                 {Spread::kDeviation, Divisor::kSample}};

double Exact(const std::vector<double>& values, const SpreadCase& of) {
  ExactSum sum;
  ExactSquares squares;
  for (const double v : values) {
    sum.Add(v);
    squares.AddDouble(v);
  }
  return SpreadOf(values.size(), sum.magnitude(), squares.magnitude(ExactSquares::kUnitExponent),
                  of.spread, of.divisor);
}

uint64_t Bits(double v) { return std::bit_cast<uint64_t>(v); }

double RandomDouble(std::mt19937_64& random, int low, int high) {
  const double mantissa = 1.0 + static_cast<double>(random() >> 12) * 0x1p-52;
  const int exponent = low + static_cast<int>(random() % static_cast<uint64_t>(high - low + 1));
  return std::ldexp((random() & 1) != 0 ? -mantissa : mantissa, exponent);
}

TEST(Variance, AgreesWithIntegersOfAnySizeOverEveryRangeOfExponents) {
  const uint64_t seed = 20261126;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  constexpr std::pair<int, int> kRanges[] = {{-23, 40},   {-30, 60}, {-1074, -1000}, {-1074, 1000},
                                             {900, 1020}, {43, 43},  {-80, -10},     {0, 0}};
  for (int trial = 0; trial < 4'000; ++trial) {
    const auto [low, high] = kRanges[static_cast<size_t>(trial) % std::size(kRanges)];
    std::vector<double> values(2 + random() % 60);
    for (double& v : values) v = RandomDouble(random, low, high);
    // A mean far from zero with a small spread: where a formula in doubles loses everything.
    if (trial % 5 == 0)
      for (double& v : values) v = values[0] + std::ldexp(values[0], -40) * double(random() % 7);
    if (trial % 7 == 0) std::fill(values.begin() + 1, values.end(), values[0]);
    for (const SpreadCase& of : kCases)
      ASSERT_EQ(Bits(Exact(values, of)), Bits(ReferenceSpread(values, of.spread, of.divisor)))
          << "trial " << trial;
  }
}

TEST(Variance, KnownValues) {
  constexpr SpreadCase kSample{Spread::kVariance, Divisor::kSample};
  constexpr SpreadCase kDeviation{Spread::kDeviation, Divisor::kPopulation};
  EXPECT_EQ(Exact({1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16}, kSample), 30.0);
  EXPECT_EQ(Exact({2, 4, 4, 4, 5, 5, 7, 9}, kDeviation), 2.0);
  EXPECT_EQ(Bits(Exact({-0.0, 0.0, -0.0}, kSample)), Bits(0.0));
  EXPECT_EQ(Bits(Exact({0.1, 0.1, 0.1}, kSample)), Bits(0.0));
  // The variance is beyond the doubles, the deviation is not.
  EXPECT_EQ(Exact({1e200, -1e200}, {Spread::kVariance, Divisor::kPopulation}),
            std::numeric_limits<double>::infinity());
  EXPECT_EQ(Exact({1e200, -1e200}, kDeviation), 1e200);
  EXPECT_EQ(Exact({0x1p-1074, -0x1p-1074}, kDeviation), 0x1p-1074);
}

// What outgrows 256 bits of units goes to the full range, and nothing is lost on the way.
TEST(ExactSquares, SumsBeyondTheirUnitsKeepEveryBit) {
  ExactSquares squares;
  Integer256 most;
  most.words.fill(~0ULL);
  squares.AddUnits(most);
  ASSERT_TRUE(squares.fits_units());
  squares.AddDouble(0x1p-75);
  EXPECT_FALSE(squares.fits_units());
  const Magnitude sum = squares.magnitude(ExactSquares::kUnitExponent);
  // 2^256 units of 2^-150 above 2^-2148: one bit.
  const size_t bit = 256 - 150 + 2148;
  for (size_t i = 0; i < sum.digits.size(); ++i)
    EXPECT_EQ(sum.digits[i], i == bit / 32 ? 1U << bit % 32 : 0U) << i;
}

TEST(ExactSquares, OrderAndGroupingChangeNoBit) {
  const uint64_t seed = 7;
  std::mt19937_64 random(seed);
  std::vector<double> values(200);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = RandomDouble(random, i % 50 == 0 ? -1000 : -20, i % 50 == 0 ? 1000 : 47);
  ExactSquares all;
  for (const double v : values) all.AddDouble(v);
  for (int trial = 0; trial < 200; ++trial) {
    std::shuffle(values.begin(), values.end(), random);
    ExactSquares parts[3];
    for (const double v : values) parts[random() % 3].AddDouble(v);
    parts[1].Merge(parts[0]);
    parts[1].Merge(parts[2]);
    ASSERT_EQ(parts[1].magnitude(ExactSquares::kUnitExponent).digits,
              all.magnitude(ExactSquares::kUnitExponent).digits)
        << "seed " << seed << " trial " << trial;
  }
}

}  // namespace
}  // namespace headrace::pipeline
