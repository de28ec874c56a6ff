// Changes of views over derived streams, whose rows are nowhere but in what is made of them.

#include <gtest/gtest.h>

#include "wiring/lives_fixture.h"

namespace headrace::wiring {
namespace {

using namespace lives_fixture;  // NOLINT: the test is written in the fixture's words

constexpr const char* kKeep = "log: {keep: 1m}\n";

class OverDerived : public testing::TestWithParam<std::string_view> {};
INSTANTIATE_TEST_SUITE_P(Streams, OverDerived, testing::Values(kLarge, kOnce));

// Back to a view that was kept up, and a death before a snapshot of it: the log has let go of what
// it was made of.
TEST_P(OverDerived, BackAgainSurvivesADeathBeforeTheNextSnapshot) {
  const std::string derived = OverStream(kHour, GetParam(), kKeep);
  for (const bool snapshots_between : {false, true}) {
    Lives lives(derived);
    std::vector<int> batches(20, 500);
    for (const int rows : batches) lives.Send(rows);
    lives.LetGo();
    batches.insert(batches.end(), {10, 10});
    ChangeRequest away = To(OverStream(kDay, GetParam(), kKeep));
    away.from_now = {"card"};
    ASSERT_EQ(lives.Apply(std::move(away)), "");
    lives.Send(20);
    batches.push_back(20);
    for (int i = 0; i < 20 && snapshots_between; ++i) {
      lives.Send(500);
      batches.push_back(500);
    }
    if (snapshots_between) {
      lives.LetGo();
      batches.insert(batches.end(), {10, 10});
      EXPECT_GT(lives.core_->log_status().first.value, 24U);
    }
    lives.machine_->faults().crash_point = "change.cut_over";
    lives.machine_->faults().crash_hit =
        lives.machine_->crash_point_visits().at("change.cut_over") + 1;
    ASSERT_EQ(lives.Apply(To(derived)), "died");
    lives.Die();
    ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
    EXPECT_EQ(lives.Answers(), FreshAnswers(derived, batches)) << snapshots_between;
  }
}

}  // namespace
}  // namespace headrace::wiring
