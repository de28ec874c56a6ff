#include "watch/recent_times.h"

#include <gtest/gtest.h>

#include "env/simulated/environment.h"

namespace headrace::watch {
namespace {

using std::chrono::seconds;

class RecentTimesTest : public testing::Test {
 protected:
  // A second each.
  void Pass(int second_count, uint64_t us) {
    for (int i = 0; i < second_count; ++i) {
      if (us > 0) us_.Record(us);
      machine_.RunFor(seconds(1));
    }
  }
  RecentSamples Recent() const { return times_->figures().Of(us_); }

  env::simulated::SimulatedEnvironment machine_{7};
  base::Histogram us_;
  std::unique_ptr<RecentTimes> times_ = RecentTimes::Make(machine_, {&us_});
};

TEST_F(RecentTimesTest, BeginWithTheStart) {
  EXPECT_EQ(Recent().count(), 0U);
  EXPECT_EQ(Recent().Quantile(0.99), 0U);
  Pass(10, 1'000);
  EXPECT_EQ(Recent().count(), 10U);
  EXPECT_EQ(Recent().Quantile(0.99), 1'000U);
  EXPECT_NEAR(static_cast<double>(times_->figures().span.count()), 10e6, 1e5);
}

TEST_F(RecentTimesTest, ABadMinuteIsOverWithTheWindow) {
  Pass(60, 900'000);
  EXPECT_EQ(Recent().Quantile(1), 900'000U);
  Pass(121, 1'000);
  EXPECT_LE(Recent().Quantile(1), 1'024U);
  EXPECT_EQ(us_.Quantile(1), 900'000U) << "since the start";
}

TEST_F(RecentTimesTest, TheWindowHasNinetyToAHundredAndTwentySeconds) {
  Pass(200, 1'000);
  for (int i = 0; i < 60; ++i) {
    Pass(1, 1'000);
    const base::Duration span = times_->figures().span;
    EXPECT_GE(span, seconds(89));
    EXPECT_LE(span, seconds(121));
    const auto expected = static_cast<double>(span / seconds(1));
    EXPECT_NEAR(static_cast<double>(Recent().count()), expected, 2);
  }
}

TEST_F(RecentTimesTest, OfAQuietSourceNothingIsRecent) {
  Pass(60, 1'000);
  Pass(121, 0);
  EXPECT_EQ(Recent().count(), 0U);
}

TEST_F(RecentTimesTest, WhatWasMeasuredBeforeItIsNotRecent) {
  Pass(5, 1'000);
  times_ = RecentTimes::Make(machine_, {&us_});
  EXPECT_EQ(Recent().count(), 0U);
  const base::Histogram unwatched;
  EXPECT_EQ(times_->figures().Of(unwatched).count(), 0U);
}

}  // namespace
}  // namespace headrace::watch
