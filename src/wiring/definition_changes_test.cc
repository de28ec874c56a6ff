// Changes of definition of a whole core on a simulated machine: history from log and table, reads
// meanwhile, and deaths in between. What a change builds is held against a core that was started
// with the new file, or against the log.

#include "wiring/definition_changes.h"

#include <gtest/gtest.h>

#include <span>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "wiring/lives_fixture.h"

namespace headrace::wiring {
namespace {

using namespace lives_fixture;  // NOLINT: the test is written in the fixture's words

TEST(DefinitionChanges, BuiltFromTheLogWhileTheOldOneAnswers) {
  Lives lives(Text(kHour, Table::kYes));
  std::vector<int> batches(20, 500);
  for (const int rows : batches) lives.Send(rows);
  int reads = 0;
  EXPECT_EQ(lives.Apply(To(Text(kDay, Table::kYes)),
                        [&] {
                          if (++reads % 20 == 0) {
                            lives.Send(100);
                            batches.push_back(100);
                          }
                          lives.Answers();
                        }),
            "");
  EXPECT_GT(reads, 0);
  EXPECT_EQ(lives.Answers(), FreshAnswers(Text(kDay, Table::kYes), batches));
}

TEST(DefinitionChanges, BuiltFromTheTableWhereTheLogLetRowsGo) {
  const std::string keep = "log: {keep: 1m}\n";
  Lives lives(Text(kHour, Table::kYes, keep));
  std::vector<int> batches(20, 500);
  for (const int rows : batches) lives.Send(rows);
  lives.LetGo();
  batches.insert(batches.end(), {10, 10});
  EXPECT_EQ(lives.Apply(To(Text(kDay, Table::kYes, keep))), "");
  EXPECT_EQ(lives.State()["change"]["rows_done"], 10'020);
  const std::string fresh = FreshAnswers(Text(kDay, Table::kYes, keep), batches);
  EXPECT_EQ(lives.Answers(), fresh);
  // The snapshots lack the view: a start builds it again.
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  EXPECT_EQ(lives.Answers(), fresh);
}

// Limits of the log are those of the start, whatever is applied; so is what is told of them.
TEST(DefinitionChanges, TheLimitOfTheLogStaysThatOfTheStart) {
  Lives lives(Text(kHour, Table::kNo, "log: {bytes_max: 1GiB}\n"));
  lives.Send(1);
  EXPECT_EQ(lives.Apply(To(Text(kHour, Table::kNo, "log: {bytes_max: 2GiB}\n"))), "");
  EXPECT_EQ(nlohmann::json::parse(lives.core_->StatusJson())["log"]["bytes_max"], 1ULL << 30);
}

TEST(DefinitionChanges, RefusedWhereTheHistoryIsGone) {
  const std::string keep = "log: {keep: 1m}\n";
  Lives lives(Text(kHour, Table::kNo, keep));
  for (int i = 0; i < 20; ++i) lives.Send(500);
  lives.LetGo();
  const std::string before = lives.Answers();
  const auto refused = lives.Begin(To(Text(kDay, Table::kNo, keep)));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kFailedPrecondition);
  EXPECT_NE(refused.error().message().find("--from now:card"), std::string::npos);
  EXPECT_EQ(lives.Answers(), before);
  ChangeRequest from_now = To(Text(kDay, Table::kNo, keep));
  from_now.from_now = {"crad"};
  const auto misspelt = lives.Begin(from_now);
  ASSERT_FALSE(misspelt.has_value());
  EXPECT_NE(misspelt.error().message().find("did you mean: card?"), std::string::npos);
  from_now.from_now = {"card"};
  EXPECT_EQ(lives.Apply(std::move(from_now)), "");
  lives.Send(10);
  const std::string after = lives.Answers();
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  EXPECT_EQ(lives.Answers(), after);
}

// What is derived is not made again of rows that the log has let go: a view of it that begins with
// the cut-over must come back without them.
TEST(DefinitionChanges, ADerivedViewFromNowSurvivesADeathBeforeTheNextSnapshot) {
  const std::string keep = "log: {keep: 1m}\n";
  Lives lives(OverStream(kHour, kLarge, keep));
  for (int i = 0; i < 20; ++i) lives.Send(500);
  lives.LetGo();
  ChangeRequest from_now = To(OverStream(kDay, kLarge, keep));
  from_now.from_now = {"card"};
  ASSERT_EQ(lives.Apply(std::move(from_now)), "");
  const std::string empty = lives.Answers();
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  EXPECT_EQ(lives.Answers(), empty);
  lives.Send(100);
  const std::string after = lives.Answers();
  EXPECT_NE(after, empty);
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  EXPECT_EQ(lives.Answers(), after);
}

// Nothing of it is in the log: a build that comes to ask all the same, as what was kept up has gone
// since it was planned, must not take that for no rows.
TEST(DefinitionChanges, AStreamWithoutRepeatsHasNoHistoryToRead) {
  Lives lives(OverStream(kHour, kOnce));
  lives.Send(300);
  const size_t large = *lives.definition_->StreamNamed("large");
  lives.machine_->Run([&] {
    const auto history = StreamHistory::Open(*lives.machine_, lives.core_->budget(),
                                             {.definition = *lives.definition_,
                                              .number = large,
                                              .id = {2},
                                              .after = {},
                                              .data_folder = kData});
    ASSERT_FALSE(history.has_value());
    EXPECT_EQ(history.error().code(), base::ErrorCode::kFailedPrecondition);
  });
}

// The snapshot is of a definition that the file took the place of since, and lacks its stream.
TEST(DefinitionChanges, AStartWithADerivedStreamThatTheSnapshotLacksReadsTheLogWhole) {
  const std::string with = OverStream(kHour, kLarge);
  Lives lives(with);
  lives.Send(300);
  const std::string before = lives.Answers();
  ASSERT_EQ(lives.Apply(To(OverStream(kHour, kPayments))), "");
  lives.Snapshot();
  lives.definition_ = Define(with + "# again\n");
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  lives.Send(1);
  const std::string again = lives.Answers();
  lives.definition_ = Define(with);
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  EXPECT_EQ(lives.Answers(), again);
  EXPECT_NE(again, before);
}

// Somebody compacted the table: where the rows stand in the log is not known any more.
TEST(DefinitionChanges, RefusedWhereTheTableWasRewritten) {
  const std::string keep = "log: {keep: 1m}\n";
  Lives lives(Text(kHour, Table::kYes, keep));
  for (int i = 0; i < 20; ++i) lives.Send(500);
  lives.LetGo();
  const std::string folder = std::string(kData) + "/tables/payments";
  const auto names = lives.machine_->files().List(folder);
  const auto commits = lives.machine_->files().List(folder + "/_delta_log");
  ASSERT_TRUE(names && commits);
  std::string file;
  size_t versions = 0;
  for (const std::string& name : *names)
    if (name.ends_with(".parquet")) file = name;
  for (const std::string& name : *commits)
    if (name.ends_with(".json")) ++versions;
  const std::string commit = R"({"commitInfo":{"timestamp":0,"operation":"OPTIMIZE"}})"
                             "\n"
                             R"({"remove":{"path":")" +
                             file + R"(","deletionTimestamp":0,"dataChange":false}})" + "\n";
  ASSERT_TRUE(env::PutIfAbsent(lives.machine_->files(),
                               fmt::format("{}/_delta_log/{:020}.json", folder, versions),
                               {reinterpret_cast<const uint8_t*>(commit.data()), commit.size()}));
  const std::string before = lives.Answers();
  EXPECT_NE(lives.Apply(To(Text(kDay, Table::kYes, keep))).find("rewrote"), std::string::npos);
  EXPECT_EQ(lives.Answers(), before);
}

TEST(DefinitionChanges, RefusedWhereTheTableIsGone) {
  const std::string keep = "log: {keep: 1m}\n";
  Lives lives(Text(kHour, Table::kYes, keep));
  for (int i = 0; i < 20; ++i) lives.Send(500);
  lives.LetGo();
  const std::string folder = std::string(kData) + "/tables/payments/_delta_log";
  const auto commits = lives.machine_->files().List(folder);
  ASSERT_TRUE(commits && !commits->empty());
  for (const std::string& name : *commits)
    ASSERT_TRUE(lives.machine_->files().Remove(folder + "/" + name));
  const std::string before = lives.Answers();
  EXPECT_NE(lives.Apply(To(Text(kDay, Table::kYes, keep))), "");
  EXPECT_EQ(lives.Answers(), before);
}

// Restored from an older copy, or made anew: what it lacks the log has let go.
TEST(DefinitionChanges, RefusedWhereTheTableIsAnOlderOne) {
  const std::string keep = "log: {keep: 1m}\n";
  Lives lives(Text(kHour, Table::kYes, keep));
  for (int plan = 0; plan < 2; ++plan) {
    for (int i = 0; i < 20; ++i) lives.Send(500);
    lives.LetGo();
  }
  const std::string folder = std::string(kData) + "/tables/payments/_delta_log";
  const auto commits = lives.machine_->files().List(folder);
  ASSERT_TRUE(commits && commits->size() > 2);
  for (const std::string& name : std::span(*commits).subspan(2))
    ASSERT_TRUE(lives.machine_->files().Remove(folder + "/" + name));
  const std::string before = lives.Answers();
  const std::string why = lives.Apply(To(Text(kDay, Table::kYes, keep)));
  EXPECT_NE(why.find("restored from an older copy"), std::string::npos) << why;
  EXPECT_EQ(lives.Answers(), before);
}

TEST(DefinitionChanges, RefusedWhenTwoVersionsDoNotFit) {
  const std::string memory = "memory: 64MiB\n";
  constexpr int64_t kTaken = 60 << 20;
  Lives lives(Text(kHour, Table::kYes, memory));
  for (int i = 0; i < 20; ++i) lives.Send(500);
  lives.core_->budget().Force(base::MemoryAccount::kTables, kTaken);
  const std::string before = lives.Answers();
  const auto refused = lives.Begin(To(Text(kDay, Table::kYes, memory)));
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message().find("do not fit beside each other"), std::string::npos);
  lives.core_->budget().Force(base::MemoryAccount::kTables, -kTaken);
  // Taken while it builds, it is given up.
  bool held = false;
  const std::string why = lives.Apply(To(Text(kDay, Table::kYes, memory)), [&] {
    if (std::exchange(held, true)) return;
    lives.core_->budget().Force(base::MemoryAccount::kTables, kTaken);
  });
  EXPECT_NE(why.find("do not fit beside each other"), std::string::npos) << why;
  lives.core_->budget().Force(base::MemoryAccount::kTables, -kTaken);
  EXPECT_EQ(lives.Answers(), before);
  EXPECT_EQ(lives.Apply(To(Text(kDay, Table::kYes, memory))), "");
}

TEST(DefinitionChanges, OneAtATime) {
  Lives lives(Text(kHour, Table::kYes));
  for (int i = 0; i < 5; ++i) lives.Send(500);
  ASSERT_TRUE(lives.Begin(To(Text(kDay, Table::kYes))).has_value());
  const auto second = lives.Begin(To(Text(kHour, Table::kYes)));
  if (lives.State()["change"]["state"] != "done") {
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code(), base::ErrorCode::kConflict);
  }
}

// A kill wherever a change can be interrupted: it is whole afterwards, or goes on by itself. Only
// one that was not asked for durably never happened.
TEST(DefinitionChanges, AKillLeavesAllOfAChangeOrItGoesOn) {
  std::vector<int> batches(6, 500);
  const std::string before = FreshAnswers(Text(kHour, Table::kYes), batches);
  const std::string after = FreshAnswers(Text(kDay, Table::kYes), batches);
  int whole = 0;
  int gone_on = 0;
  for (const char* point :
       {"change.asked", "change.before_build", "change.after_piece", "change.before_aside",
        "change.before_log", "log.after_write", "log.after_sync", "change.after_log",
        "applier.before_apply", "change.cut_over", "change.before_forget", "change.start_build",
        "change.start_built"}) {
    for (const auto kind :
         {env::simulated::CrashKind::kKill, env::simulated::CrashKind::kPowerCut}) {
      Lives lives(Text(kHour, Table::kYes));
      for (const int rows : batches) lives.Send(rows);
      lives.Snapshot();
      lives.machine_->RunFor(std::chrono::seconds(3));
      lives.machine_->faults().crash_point = point;
      lives.machine_->faults().crash_hit = lives.machine_->crash_point_visits().contains(point)
                                               ? lives.machine_->crash_point_visits().at(point) + 1
                                               : 1;
      lives.machine_->faults().crash_kind = kind;
      const std::string how = lives.Apply(To(Text(kDay, Table::kYes)));
      const bool in_start = std::string_view(point).starts_with("change.start");
      EXPECT_EQ(how, in_start ? "" : "died") << point;
      if (in_start) {
        lives.Die({.crash_point = point, .crash_kind = kind});
        EXPECT_TRUE(lives.machine_->crashed()) << point;
      }
      lives.Die();
      ASSERT_TRUE(lives.started_) << point;
      const std::string now = lives.Answers();
      EXPECT_TRUE(now == before || now == after) << point << ": " << now;
      ++(now == before ? gone_on : whole);
      EXPECT_EQ(lives.GoneOn(), now == before ? "done" : "none") << point;
      EXPECT_EQ(lives.Answers(), after) << point;
      if (now == before) {
        EXPECT_EQ(lives.State()["change"]["begun"], 2) << point;
      }
      // And it is over: the next life finds nothing to go on with.
      lives.Die();
      EXPECT_EQ(lives.GoneOn(), "none") << point;
      EXPECT_EQ(lives.Answers(), after) << point;
    }
  }
  EXPECT_GT(whole, 0);
  EXPECT_GT(gone_on, 0);
}

constexpr const char* kSpend =
    "{from: payments, by: card, over: [1h], features: {spend: sum(amount)}}";
constexpr const char* kInTheMiddle = "change.after_piece";

TEST(DefinitionChanges, OneThatEveryLifeEndsInIsGivenUp) {
  Lives lives(Text(kHour, Table::kYes));
  for (int i = 0; i < 6; ++i) lives.Send(500);
  const std::string before = lives.Answers();
  lives.machine_->faults().crash_point = kInTheMiddle;
  lives.machine_->faults().crash_hit = 1;
  EXPECT_EQ(lives.Apply(To(Text(kDay, Table::kYes))), "died");
  for (uint32_t life = 2; life <= DefinitionChanges::kLivesMax; ++life) {
    lives.Die({.crash_point = kInTheMiddle});
    ASSERT_TRUE(lives.started_);
    EXPECT_EQ(lives.GoneOn(), "died");
  }
  lives.Die();
  ASSERT_TRUE(lives.started_);
  EXPECT_EQ(lives.GoneOn(), "failed");
  EXPECT_EQ(lives.State()["change"]["begun"], DefinitionChanges::kLivesMax);
  EXPECT_NE(lives.State()["change"]["error"]["message"].get<std::string>().find("lives"),
            std::string::npos);
  EXPECT_EQ(lives.Answers(), before);
  EXPECT_EQ(lives.Apply(To(Text(kDay, Table::kYes))), "");
}

// A stop is no death, and the file that a start brings comes before what was asked for.
TEST(DefinitionChanges, AStopAndAnotherFile) {
  for (const bool another : {false, true}) {
    Lives lives(Text(kHour, Table::kYes));
    for (int i = 0; i < 6; ++i) lives.Send(500);
    ASSERT_TRUE(lives.Begin(To(Text(kDay, Table::kYes))).has_value());
    lives.machine_->Run([&] { lives.core_->Stop(); });
    if (another) lives.definition_ = Define(Text(kHour, Table::kYes) + "# another\n");
    lives.Die();
    ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
    EXPECT_EQ(lives.GoneOn(), another ? "failed" : "done");
    if (!another) {
      EXPECT_EQ(lives.State()["change"]["begun"], 1);
    }
  }
}

TEST(DefinitionChanges, WhoAsksAgainWaitsForTheSame) {
  Lives lives(Text(kHour, Table::kYes));
  for (int i = 0; i < 6; ++i) lives.Send(500);
  ASSERT_TRUE(lives.Begin(To(Text(kDay, Table::kYes))).has_value());
  ASSERT_EQ(lives.State()["change"]["state"], "building");
  EXPECT_EQ(lives.Apply(To(Text(kDay, Table::kYes))), "");
  EXPECT_EQ(lives.State()["change"]["number"], 1);
}

// The figures of a change are where an operator looks.
TEST(DefinitionChanges, StatusAndMetricsSayHowFarItIs) {
  Lives lives(Text(kHour, Table::kYes));
  for (int i = 0; i < 20; ++i) lives.Send(500);
  const auto status = [&] { return nlohmann::json::parse(lives.core_->StatusJson()); };
  EXPECT_FALSE(status().contains("change"));
  bool building = false;
  ASSERT_EQ(lives.Apply(To(Text(kDay, Table::kYes)),
                        [&] {
                          const auto change = status()["change"];
                          if (change["rows_done"] == 0) return;
                          building = true;
                          EXPECT_EQ(change["state"], "building");
                          EXPECT_EQ(change["rows_total"], 10'000);
                          EXPECT_TRUE(change.contains("seconds_left"));
                          EXPECT_NE(
                              lives.core_->MetricsText().find("headrace_wiring_change_under_way 1"),
                              std::string::npos);
                        }),
            "");
  EXPECT_TRUE(building);
  EXPECT_EQ(status()["change"]["state"], "done");
  EXPECT_EQ(status()["change"]["rows_done"], 10'000);
  EXPECT_FALSE(status()["views"][0].contains("since_epoch"));
  const std::string metrics = lives.core_->MetricsText();
  EXPECT_NE(metrics.find("headrace_wiring_changes_done_total 1"), std::string::npos);
  EXPECT_NE(metrics.find("headrace_wiring_change_rows_read 10000"), std::string::npos);
  ChangeRequest now = To(Text(kSpend, Table::kYes));
  now.all_from_now = true;
  ASSERT_EQ(lives.Apply(std::move(now)), "");
  EXPECT_EQ(status()["views"][0]["since_epoch"], status()["change"]["cut_over_epoch"]);
  EXPECT_EQ(lives.core_->MetricsText().find("headrace_pipeline_view_since_epoch{view=\"card\"} 0"),
            std::string::npos);
}

// Asked for at any moment of a change: once that is done, a snapshot that is there has its views.
TEST(DefinitionChanges, ASnapshotThatIsDoneAfterAChangeHasItsViews) {
  int done_after = 0;
  for (int steps = 0; steps < 400; ++steps) {
    Lives lives(Text(kHour, Table::kYes));
    lives.Send(100);
    ASSERT_TRUE(lives.Begin(To(Text(kDay, Table::kYes))).has_value());
    for (int i = 0; i < steps; ++i) lives.machine_->Step();
    if (lives.State()["change"]["state"] == "done") break;
    lives.Snapshot();
    if (lives.State()["change"]["state"] != "done") continue;
    ++done_after;
    lives.Die();
    ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
    EXPECT_TRUE(lives.core_->started_from().built_views.empty()) << steps;
  }
  EXPECT_GT(done_after, 0);
}

// As while it runs, so at a start.
TEST(DefinitionChanges, AStartWhoseViewsDoNotFitSaysSo) {
  base::MemoryBudget budget(64ULL << 20);
  Lives lives(Text(kHour, Table::kYes));
  for (int i = 0; i < 20; ++i) lives.Send(500);
  lives.Snapshot();
  budget.Force(base::MemoryAccount::kTables, 64 << 20);
  lives.definition_ = Define(Text(kDay, Table::kYes));
  lives.budget_ = &budget;
  lives.Die();
  ASSERT_FALSE(lives.started_);
  EXPECT_EQ(lives.started_.error().code(), base::ErrorCode::kResourceExhausted);
  EXPECT_NE(lives.started_.error().message().find("do not fit into the memory"), std::string::npos)
      << lives.started_.error().ToString();
  budget.Force(base::MemoryAccount::kTables, -(64 << 20));
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
}

}  // namespace
}  // namespace headrace::wiring
