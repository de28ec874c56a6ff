#include "pipeline/aggregates/quantile_buckets.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace headrace::pipeline {
namespace {

TEST(QuantileBuckets, EdgeIsWithinTheRelativeErrorAndNearerToZero) {
  const uint64_t seed = 17;
  std::mt19937_64 random(seed);
  for (int trial = 0; trial < 100'000; ++trial) {
    const double v = std::bit_cast<double>(random());
    if (!std::isnormal(v)) continue;
    for (const int bits : {1, 7, kQuantileBitsMax}) {
      const double edge = EdgeOf(BucketOf(v, bits), bits);
      ASSERT_LE(std::abs(edge), std::abs(v)) << "seed " << seed;
      ASSERT_LT(std::abs(v - edge), std::abs(v) * std::ldexp(1.0, -bits))
          << "seed " << seed << " value " << v;
    }
  }
}

TEST(QuantileBuckets, OrderAsTheValuesDo) {
  const uint64_t seed = 18;
  std::mt19937_64 random(seed);
  for (int trial = 0; trial < 100'000; ++trial) {
    const double a = std::bit_cast<double>(random());
    const double b = std::bit_cast<double>(random());
    if (std::isnan(a) || std::isnan(b)) continue;
    ASSERT_LE(BucketOf(std::min(a, b), 7), BucketOf(std::max(a, b), 7)) << "seed " << seed;
  }
}

TEST(QuantileBuckets, SmallIntegersAreExactAndBothKindsOfNumberAgree) {
  for (int64_t v = -256; v <= 256; ++v) {
    EXPECT_EQ(EdgeOf(BucketOf(v, 7), 7), static_cast<double>(v));
    EXPECT_EQ(BucketOf(v, 7), BucketOf(static_cast<double>(v), 7));
  }
}

TEST(QuantileBuckets, LargeIntegersAreCutNotRounded) {
  const int64_t greatest = std::numeric_limits<int64_t>::max();
  EXPECT_LT(EdgeOf(BucketOf(greatest, 20), 20), 0x1p63);
  EXPECT_EQ(EdgeOf(BucketOf(std::numeric_limits<int64_t>::min(), 20), 20), -0x1p63);
  EXPECT_EQ(EdgeOf(BucketOf((int64_t{1} << 60) - 1, 7), 7), 0x1.fep59);
}

TEST(QuantileBuckets, ZerosInfinitiesAndNans) {
  EXPECT_EQ(BucketOf(-0.0, 7), BucketOf(0.0, 7));
  EXPECT_EQ(EdgeOf(BucketOf(std::numeric_limits<double>::infinity(), 7), 7),
            std::numeric_limits<double>::infinity());
  EXPECT_EQ(EdgeOf(BucketOf(-std::numeric_limits<double>::infinity(), 7), 7),
            -std::numeric_limits<double>::infinity());
  const Bucket nan = BucketOf(std::numeric_limits<double>::quiet_NaN(), 7);
  EXPECT_EQ(nan, BucketOf(-std::numeric_limits<double>::quiet_NaN(), 7));
  EXPECT_GT(nan, BucketOf(std::numeric_limits<double>::infinity(), 7));
  EXPECT_TRUE(std::isnan(EdgeOf(nan, 7)));
}

TEST(QuantileBuckets, NearestRankIsTheCeilingOfWhatWasWritten) {
  for (uint64_t percent = 1; percent <= 100; ++percent) {
    for (uint64_t count = 1; count <= 1'000; ++count) {
      const uint64_t expected = (percent * count + 99) / 100;
      ASSERT_EQ(NearestRank(static_cast<double>(percent) / 100, count), expected)
          << percent << " % of " << count;
    }
  }
}

TEST(QuantileBuckets, QuantileIsTheBucketOfTheSortedValueAtTheRank) {
  const uint64_t seed = 21;
  std::mt19937_64 random(seed);
  for (int trial = 0; trial < 500; ++trial) {
    std::vector<double> values(1 + random() % 300);
    std::vector<Bucket> buckets;
    for (double& v : values)
      v = std::round(std::exp(static_cast<double>(random() % 1000) / 100)) *
          (random() % 3 == 0 ? -1 : 1);
    for (const double v : values) buckets.push_back(BucketOf(v, 7));
    std::sort(values.begin(), values.end());
    const double q = static_cast<double>(1 + random() % 100) / 100;
    const double exact = values[NearestRank(q, values.size()) - 1];
    ASSERT_EQ(BucketAtQuantile(buckets, q), BucketOf(exact, 7))
        << "seed " << seed << " trial " << trial;
  }
}

}  // namespace
}  // namespace headrace::pipeline
