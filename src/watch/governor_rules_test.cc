#include "watch/governor_rules.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

namespace headrace::watch {
namespace {

using env::WorkClass;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::array kOrder = {WorkClass::kTraining, WorkClass::kMaintenance,
                               WorkClass::kSlowTables, WorkClass::kTables, WorkClass::kSnapshots};
constexpr env::MonotonicTime kStep = milliseconds(250);

class GovernorRulesTest : public testing::Test {
 protected:
  // Steps of 250 ms for `span` in all, under one pressure.
  void Press(double share, env::MonotonicTime span) {
    const std::vector<Pressure> pressures = {{"ingest", 0.1, ""}, {"serve", share, ""}};
    for (env::MonotonicTime done{0}; done < span; done += kStep) {
      now_ += kStep;
      rules_->Step(now_, pressures);
    }
  }
  size_t Paused() const {
    return static_cast<size_t>(
        std::ranges::count_if(kOrder, [this](WorkClass work) { return rules_->paused(work); }));
  }

  std::optional<GovernorRules> rules_{GovernorRules()};
  env::MonotonicTime now_ = seconds(100);
};

TEST_F(GovernorRulesTest, BelowSeventyPercentNothingIsPaused) {
  Press(0.69, seconds(60));
  EXPECT_EQ(Paused(), 0U);
}

TEST_F(GovernorRulesTest, PausesInTheOrderOfSacrifice) {
  for (size_t paused = 1; paused <= kOrder.size(); ++paused) {
    Press(0.8, paused == 1 ? kStep : milliseconds(500));
    for (size_t i = 0; i < kOrder.size(); ++i)
      EXPECT_EQ(rules_->paused(kOrder[i]), i < paused) << "class " << i << " of " << paused;
  }
  EXPECT_EQ(rules_->worst().what, "serve");
}

TEST_F(GovernorRulesTest, ALateStageDoesNotWaitForEachClass) {
  Press(1.2, kStep * 3);
  EXPECT_EQ(Paused(), 3U);
}

TEST_F(GovernorRulesTest, ResumesOneByOneTheLastPausedFirst) {
  Press(1.5, kStep * 5);
  ASSERT_EQ(Paused(), 5U);
  Press(0.3, seconds(2));
  EXPECT_EQ(Paused(), 5U) << "two seconds of calm are not over at the step that begins them";
  Press(0.3, kStep);
  EXPECT_EQ(Paused(), 4U);
  EXPECT_FALSE(rules_->paused(WorkClass::kSnapshots));
  EXPECT_TRUE(rules_->paused(WorkClass::kTables));
  Press(0.3, seconds(8));
  EXPECT_EQ(Paused(), 0U);
}

TEST_F(GovernorRulesTest, BetweenTheMarksEverythingStays) {
  Press(0.8, kStep);
  Press(0.6, seconds(30));
  EXPECT_EQ(Paused(), 1U);
  Press(0.4, seconds(1));
  Press(0.6, kStep);  // calm begins anew
  Press(0.4, seconds(2));
  EXPECT_EQ(Paused(), 1U);
}

TEST_F(GovernorRulesTest, NoClassIsPausedForLongerThanItsBound) {
  GovernorLimits limits;
  limits.pause_max.fill(seconds(8));
  rules_.emplace(limits);
  Press(0.9, kStep);
  Press(0.9, seconds(8) - kStep);
  EXPECT_TRUE(rules_->paused(WorkClass::kTraining));
  Press(0.9, kStep);
  EXPECT_FALSE(rules_->paused(WorkClass::kTraining));
  EXPECT_EQ(rules_->let_through(WorkClass::kTraining), 1U);
  EXPECT_TRUE(rules_->paused(WorkClass::kMaintenance)) << "its own pause began later";
  Press(0.9, seconds(2));
  EXPECT_TRUE(rules_->paused(WorkClass::kTraining)) << "a quarter of the bound is over";
}

TEST_F(GovernorRulesTest, NoMeasurementIsNoPressure) {
  Press(0.8, kStep);
  for (int i = 0; i < 9; ++i) rules_->Step(now_ += kStep, {});
  EXPECT_EQ(Paused(), 0U);
}

}  // namespace
}  // namespace headrace::watch
