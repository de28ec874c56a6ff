#include "pipeline/aggregates/exact_sum.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "pipeline/aggregates/reference_sum.h"

namespace headrace::pipeline {
namespace {

uint64_t Bits(double v) { return std::bit_cast<uint64_t>(v); }

double Sum(const std::vector<double>& values) {
  ExactSum sum;
  for (const double v : values) sum.Add(v);
  return sum.Round();
}

double Reference(const std::vector<double>& values) {
  ReferenceSum sum;
  for (const double v : values) sum.Add(v);
  return sum.Round();
}

// A double with an exponent in [low, high], random sign and mantissa.
double RandomDouble(std::mt19937_64& random, int low, int high) {
  const double mantissa = 1.0 + static_cast<double>(random() >> 12) * 0x1p-52;
  const int exponent = low + static_cast<int>(random() % static_cast<uint64_t>(high - low + 1));
  const double v = std::ldexp(mantissa, exponent);
  return (random() & 1) != 0 ? -v : v;
}

std::vector<double> RandomValues(std::mt19937_64& random, int low, int high) {
  std::vector<double> values(1 + random() % 200);
  for (double& v : values) v = RandomDouble(random, low, high);
  // Cancellation: some values come back with the other sign, so that small ones decide.
  for (size_t i = 0; i + 1 < values.size(); i += 3)
    if ((random() & 1) != 0) values[i + 1] = -values[i];
  return values;
}

TEST(ExactSum, AgreesWithTheReferenceOverEveryRangeOfExponents) {
  const uint64_t seed = 20260701;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  constexpr std::pair<int, int> kRanges[] = {{-23, 40},  {-30, 60},  {-1074, -1000}, {-1074, 900},
                                             {900, 990}, {-80, -10}, {40, 70},       {-1, 0}};
  for (int trial = 0; trial < 20'000; ++trial) {
    const auto [low, high] = kRanges[trial % std::size(kRanges)];
    const std::vector<double> values = RandomValues(random, low, high);
    ASSERT_EQ(Bits(Sum(values)), Bits(Reference(values))) << "trial " << trial;
  }
}

TEST(ExactSum, RoundsTiesToEvenAndNoticesWhatLiesBelow) {
  EXPECT_EQ(Sum({1.0, 0x1p-53}), 1.0);
  EXPECT_EQ(Sum({1.0 + 0x1p-52, 0x1p-53}), 1.0 + 0x1p-51);
  EXPECT_EQ(Sum({1.0, 0x1p-53, 0x1p-1074}), 1.0 + 0x1p-52);
  EXPECT_EQ(Sum({1.0, 0x1p-53, -0x1p-1074}), 1.0);
  EXPECT_EQ(Sum({1e300, 1.0, -1e300}), 1.0);
}

TEST(ExactSum, ReachesSubnormalsAndOverflow) {
  const double least = std::numeric_limits<double>::denorm_min();
  const double greatest = std::numeric_limits<double>::max();
  EXPECT_EQ(Sum({least, least}), 2 * least);
  EXPECT_EQ(Sum({0x1p-1022, -least}), 0x1p-1022 - least);
  EXPECT_EQ(Sum({greatest, greatest, -greatest}), greatest);
  EXPECT_EQ(Sum({greatest, greatest}), std::numeric_limits<double>::infinity());
  EXPECT_EQ(Sum({-greatest, -greatest}), -std::numeric_limits<double>::infinity());
  // Half a unit above the greatest double rounds to infinity, a little less does not.
  EXPECT_EQ(Sum({greatest, 0x1p970}), std::numeric_limits<double>::infinity());
  EXPECT_EQ(Sum({greatest, 0x1p970, -least}), greatest);
}

TEST(ExactSum, CountsInfinitiesAndNansAndForgetsThemAgain) {
  const double infinity = std::numeric_limits<double>::infinity();
  const double nan = -std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(Sum({1, infinity}), infinity);
  EXPECT_EQ(Sum({1, -infinity}), -infinity);
  EXPECT_EQ(Bits(Sum({infinity, -infinity})), 0x7ff8000000000000ULL);
  EXPECT_EQ(Bits(Sum({nan, 1})), 0x7ff8000000000000ULL);
  ExactSum sum;
  for (const double v : {nan, infinity, -infinity, 2.5}) sum.Add(v);
  for (const double v : {nan, infinity, -infinity}) sum.Remove(v);
  EXPECT_EQ(sum.Round(), 2.5);
}

TEST(ExactSum, OfZerosIsPositiveZero) {
  EXPECT_EQ(Bits(Sum({-0.0, -0.0})), 0U);
  EXPECT_EQ(Bits(Sum({1.5, -1.5})), 0U);
  EXPECT_EQ(Bits(Sum({1e-300, -1e-300})), 0U);
}

TEST(ExactSum, OutgrowsItsUnitsWithoutLosingABit) {
  ExactSum sum;
  std::vector<double> values(300, 0x1.fffffffffffffp43);
  for (const double v : values) sum.Add(v);
  for (int doubling = 0; doubling < 12; ++doubling) {
    const ExactSum half = sum;
    sum.Merge(half);
  }
  EXPECT_FALSE(sum.fits_units());
  EXPECT_EQ(sum.Round(), Reference(values) * 4096);
}

TEST(ExactSum, RemovingRestoresTheSumOfTheRest) {
  const uint64_t seed = 4711;
  std::mt19937_64 random(seed);
  for (int trial = 0; trial < 2'000; ++trial) {
    const std::vector<double> kept = RandomValues(random, -1074, 900);
    const std::vector<double> removed = RandomValues(random, -1074, 900);
    ExactSum sum;
    for (const double v : removed) sum.Add(v);
    for (const double v : kept) sum.Add(v);
    for (const double v : removed) sum.Remove(v);
    ASSERT_EQ(Bits(sum.Round()), Bits(Sum(kept))) << "seed " << seed << " trial " << trial;
  }
}

TEST(ExactSum, ThousandOrdersAndSplitsGiveOneResult) {
  const uint64_t seed = 99;
  std::mt19937_64 random(seed);
  std::vector<double> values = RandomValues(random, -1074, 900);
  for (const double v : RandomValues(random, -23, 40)) values.push_back(v);
  const uint64_t expected = Bits(Sum(values));
  for (int order = 0; order < 1'000; ++order) {
    std::shuffle(values.begin(), values.end(), random);
    ExactSum parts[4];
    for (const double v : values) parts[random() % 4].Add(v);
    for (const int i : {3, 1, 2}) parts[0].Merge(parts[i]);
    ASSERT_EQ(Bits(parts[0].Round()), expected) << "seed " << seed << " order " << order;
  }
}

TEST(RoundScaled, MatchesTheCompilersConversionOf128Bits) {
  const uint64_t seed = 5;
  std::mt19937_64 random(seed);
  for (int trial = 0; trial < 100'000; ++trial) {
    const auto bits = static_cast<unsigned __int128>(random()) << 64 | random();
    const auto value = static_cast<Int128>(bits) >> (random() % 127);
    ASSERT_EQ(RoundScaled(value, 0), static_cast<double>(value))
        << "seed " << seed << " trial " << trial;
  }
}

}  // namespace
}  // namespace headrace::pipeline
