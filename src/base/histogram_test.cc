#include "base/histogram.h"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace headrace::base {
namespace {

TEST(Histogram, QuantilesStayWithinABucketOfTheTruth) {
  constexpr uint64_t kSeed = 7;
  std::mt19937_64 random(kSeed);
  std::lognormal_distribution<double> latency(8, 2);
  Histogram histogram;
  std::vector<uint64_t> values;
  for (int i = 0; i < 50'000; ++i) {
    values.push_back(static_cast<uint64_t>(latency(random)));
    histogram.Record(values.back());
  }
  std::ranges::sort(values);
  for (const double q : {0.01, 0.5, 0.9, 0.99, 0.9999}) {
    const auto truth = static_cast<double>(values[static_cast<size_t>(q * 49'999)]);
    EXPECT_NEAR(static_cast<double>(histogram.Quantile(q)), truth, truth / 25 + 1)
        << q << " seed " << kSeed;
  }
  EXPECT_EQ(histogram.Quantile(1), values.back());
  EXPECT_EQ(histogram.count(), values.size());
}

TEST(Histogram, EmptyAndReset) {
  Histogram histogram;
  EXPECT_EQ(histogram.Quantile(0.5), 0U);
  histogram.Record(5, 3);
  EXPECT_EQ(histogram.count(), 3U);
  histogram.Reset();
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.max(), 0U);
}

}  // namespace
}  // namespace headrace::base
