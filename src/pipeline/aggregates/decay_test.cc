#include "pipeline/aggregates/decay.h"

#include <bit>
#include <cmath>
#include <random>

#include <gtest/gtest.h>

namespace headrace::pipeline {
namespace {

TEST(Decay, WholeHalfLivesAreExact) {
  EXPECT_EQ(DecayWeight(0, 1), 1.0);
  EXPECT_EQ(DecayWeight(0, 3'600'000'000), 1.0);
  EXPECT_EQ(DecayWeight(7'200'000'000, 3'600'000'000), 0.25);
  EXPECT_EQ(DecayWeight(1021, 1), 0x1p-1021);
  EXPECT_EQ(DecayWeight(1022, 1), 0.0);
  EXPECT_EQ(DecayWeight(~0ULL, 1), 0.0);
}

TEST(Decay, IsWithinItsErrorAndNeverGrowsWithAgeByMore) {
  const uint64_t seed = 20261126;
  std::mt19937_64 random(seed);
  for (int i = 0; i < 200'000; ++i) {
    const uint64_t half_life = 1 + random() % (random() % 2 == 0 ? 1000 : 315'360'000'000'000);
    const uint64_t age = random() % (half_life < 1000 ? 900 * half_life : 50 * half_life);
    const long double exact =
        std::exp2(-static_cast<long double>(age) / static_cast<long double>(half_life));
    const double weight = DecayWeight(age, half_life);
    ASSERT_LE(std::abs(static_cast<long double>(weight) - exact), exact * 0x1p-51L)
        << "seed " << seed << " age " << age << " half-life " << half_life;
  }
}

// The bits themselves: a compiler or a CPU that rounds otherwise is seen here.
TEST(Decay, BitsAreThese) {
  EXPECT_EQ(std::bit_cast<uint64_t>(DecayWeight(1, 3)),
            std::bit_cast<uint64_t>(0x1.965fea53d6e3dp-1));
  EXPECT_EQ(std::bit_cast<uint64_t>(DecayWeight(1, 2)),
            std::bit_cast<uint64_t>(0x1.6a09e667f3bccp-1));
  EXPECT_EQ(std::bit_cast<uint64_t>(DecayWeight(5'000'000, 3'000'000)),
            std::bit_cast<uint64_t>(0x1.428a2f98d728bp-2));
}

}  // namespace
}  // namespace headrace::pipeline
