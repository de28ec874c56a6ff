// Changes of views over derived streams, whose rows are nowhere but in what is made of them.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "wiring/lives_fixture.h"

namespace headrace::wiring {
namespace {

using namespace lives_fixture;  // NOLINT: the test is written in the fixture's words

constexpr const char* kKeep = "log: {keep: 1m}\n";

class OverDerived : public testing::TestWithParam<std::string_view> {};
INSTANTIATE_TEST_SUITE_P(Streams, OverDerived, testing::Values(kLarge, kOnce));
class BackAgain : public testing::TestWithParam<std::string_view> {};
INSTANTIATE_TEST_SUITE_P(Streams, BackAgain, testing::Values(kPayments, kLarge, kOnce));

// Back to a view that was kept up, and a death before a snapshot of it: the log has let go of what
// it was made of.
TEST_P(BackAgain, SurvivesADeathBeforeTheNextSnapshot) {
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

// As long as its rows are still made, a stream that a change removed can come back.
TEST_P(OverDerived, ARollbackBringsBackTheStreamThatTheChangeRemoved) {
  Lives lives(OverStream(kHour, GetParam(), kKeep));
  std::vector<int> batches(20, 500);
  for (const int rows : batches) lives.Send(rows);
  ASSERT_EQ(lives.Apply(To(OverStream(kHour, kPayments, kKeep))), "");
  lives.Send(30);
  ASSERT_EQ(lives.Rollback(), "");
  batches.push_back(30);
  const std::string fresh = FreshAnswers(OverStream(kHour, GetParam(), kKeep), batches);
  EXPECT_EQ(lives.Answers(), fresh);
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  EXPECT_EQ(lives.Answers(), fresh);
}

// After a restart they are not made any more: the answer says what there is to do.
TEST(DerivedChange, ARollbackThatCantBeSaysWhatCan) {
  for (const bool trimmed : {false, true}) {
    Lives lives(OverStream(kHour, kOnce, kKeep));
    for (int i = 0; i < 20; ++i) lives.Send(500);
    ASSERT_EQ(lives.Apply(To(OverStream(kHour, kPayments, kKeep))), "");
    trimmed ? lives.LetGo() : lives.Snapshot();
    lives.Die();
    ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
    const std::string why = lives.Rollback();
    EXPECT_EQ(why.find("--from now"), std::string::npos) << why;
    if (trimmed) {
      EXPECT_NE(why.find("no start can do that any more"), std::string::npos) << why;
      continue;
    }
    EXPECT_NE(why.find("`headrace serve` the file of before"), std::string::npos) << why;
    // And that works.
    lives.definition_ = Define(OverStream(kHour, kOnce, kKeep) + "# again\n");
    lives.Die();
    ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
    EXPECT_EQ(lives.Answers(), FreshAnswers(OverStream(kHour, kOnce), std::vector<int>(20, 500)));
  }
}

// A stream that remembers rows and is no view's yet, new since the snapshot: what it would remember
// is in the log alone, and a view that begins with it must not miss that.
TEST(DerivedChange, AStartWithANewStreamThatRemembersReadsTheLog) {
  const auto with = [](const std::string& view, std::string_view stream) {
    std::string text = Text(view, Table::kNo);
    return text.insert(text.find("views:\n"), stream);
  };
  const std::string once = "  large: {from: payments, dedupe: {by: card, within: 1d}}\n";
  Lives lives(Text(kHour, Table::kNo));
  lives.Send(100);
  lives.Snapshot();
  lives.definition_ = Define(with(kHour, once));
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  lives.machine_->RunFor(std::chrono::seconds(1));
  ChangeRequest over = To(OverStream(kHour, once));
  over.all_from_now = true;
  ASSERT_EQ(lives.Apply(std::move(over)), "");
  const std::string none = lives.Answers();
  lives.Send(100);  // of five cards, seen within the day: repeats all
  EXPECT_EQ(lives.Answers(), none);
}

// A view over rows that are made one of one is built like any other, where the log let rows go from
// the table of the stream that comes in.
TEST(DerivedChange, AViewOverFilteredRowsIsBuiltFromLogAndTable) {
  for (const bool trimmed : {false, true}) {
    const std::string table = "tables: {payments: {commit: 1s}}\n";
    const std::string before = OverStream(kHour, kLarge, kKeep) + table;
    const std::string after = OverStream(kDay, kLarge, kKeep) + table;
    Lives lives(before);
    std::vector<int> batches(20, 500);
    for (const int rows : batches) lives.Send(rows);
    if (trimmed) {
      lives.LetGo();
      batches.insert(batches.end(), {10, 10});
    }
    int steps = 0;
    ASSERT_EQ(lives.Apply(To(after),
                          [&] {
                            if (++steps % 5 != 0) return;
                            lives.Send(100);
                            batches.push_back(100);
                          }),
              "");
    EXPECT_GE(steps, 5);
    EXPECT_GE(lives.State()["change"]["rows_done"], 10'000);
    const std::string fresh = FreshAnswers(after, batches);
    EXPECT_EQ(lives.Answers(), fresh);
    // No snapshot has it: a start builds it again.
    lives.Die();
    ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
    EXPECT_EQ(lives.Answers(), fresh);
    // The way back, when nothing is kept up any more.
    ASSERT_EQ(lives.Rollback(), "");
    EXPECT_EQ(lives.Answers(), FreshAnswers(before, batches));
  }
}

}  // namespace
}  // namespace headrace::wiring
