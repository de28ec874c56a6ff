// Starts with a file that has other streams than the one before it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "training/history.h"
#include "wiring/lives_fixture.h"
#include "wiring/table_scans.h"

namespace headrace::wiring {
namespace {

using namespace lives_fixture;  // NOLINT: the test is written in the fixture's words
using testing::HasSubstr;

constexpr const char* kKeep = "log: {keep: 1m}\n";

// `refunds` come in beside `payments`, which have a table.
std::string WithRefunds(Table table, const std::string& more = "") {
  std::string text = Text(kHour, Table::kYes, more);
  text.insert(text.find("views:\n"),
              "  refunds: {contract: c.yaml, source: {http: push}, time: {event: paid_at, "
              "late: 1h}}\n");
  if (table == Table::kYes) text.insert(text.find("payments: {commit"), "refunds: {commit: 1s}, ");
  return text;
}

nlohmann::json Status(Lives& lives) {
  nlohmann::json status;
  lives.machine_->Run([&] { status = nlohmann::json::parse(lives.core_->StatusJson()); });
  return status;
}

nlohmann::json Refunds(Lives& lives) {
  const nlohmann::json status = Status(lives);
  for (const nlohmann::json& table : status["tables"])
    if (table["name"] == "refunds") return table;
  return {};
}

// The log lets go of what nobody sent.
TEST(OtherStreams, OneThatWasIdleGoesOnInItsTable) {
  for (const bool dies : {false, true}) {
    Lives lives(WithRefunds(Table::kYes, kKeep));
    lives.Send(30, "refunds");
    lives.machine_->RunFor(std::chrono::seconds(5));
    for (int i = 0; i < 20; ++i) lives.Send(500);
    lives.LetGo();
    lives.Send(30, "refunds");
    if (dies) {
      lives.machine_->faults().crash_point = "publish.after_plan";
      lives.machine_->faults().crash_hit =
          lives.machine_->crash_point_visits().at("publish.after_plan") + 1;
      lives.machine_->RunFor(std::chrono::seconds(5));
      ASSERT_TRUE(lives.machine_->crashed());
      lives.Die();
      ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
    }
    lives.machine_->RunFor(std::chrono::seconds(5));
    EXPECT_EQ(Refunds(lives)["state"], "running") << Refunds(lives)["reason"];
    EXPECT_EQ(Refunds(lives)["rows"], dies ? 30 : 60);  // since the start
  }
}

uint64_t RowsScanned(Lives& lives, const std::string& stream) {
  uint64_t rows = 0;
  lives.machine_->Run([&] {
    auto scan = lives.core_->scans().Open(
        {.stream = stream, .columns = {"card"}, .where = {}, .epoch = {}}, {});
    ASSERT_TRUE(scan) << scan.error().ToString();
    while (true) {
      auto part = (*scan)->Next();
      ASSERT_TRUE(part) << part.error().ToString();
      if (!*part) return;
      rows += (*part)->rows();
    }
  });
  return rows;
}

uint64_t RowsForTraining(Lives& lives, const std::string& stream) {
  uint64_t rows = 0;
  lives.machine_->Run([&] {
    const auto history = training::History::Open(*lives.machine_, kData);
    ASSERT_TRUE(history) << history.error().ToString();
    const auto count = [&](const tables::PositionedRows& part) -> base::Result<void> {
      rows += part.rows.rows();
      return {};
    };
    const auto index = *lives.definition_->StreamNamed(stream);
    const auto scanned = (*history)->ScanRows(lives.definition_->streams[index], {0}, count);
    ASSERT_TRUE(scanned) << scanned.error().ToString();
  });
  return rows;
}

// Its table has all of it, or it never had a row: what the log let go between is of others.
TEST(OtherStreams, OneThatWasIdleIsRead) {
  for (const int sent : {30, 0}) {
    Lives lives(WithRefunds(Table::kYes, kKeep));
    if (sent > 0) lives.Send(sent, "refunds");
    lives.machine_->RunFor(std::chrono::seconds(5));
    for (int i = 0; i < 20; ++i) lives.Send(500);
    lives.LetGo();
    EXPECT_EQ(RowsScanned(lives, "refunds"), sent);
    EXPECT_EQ(RowsForTraining(lives, "refunds"), sent);
    lives.Send(5, "refunds");
    EXPECT_EQ(RowsScanned(lives, "refunds"), sent + 5);
    EXPECT_EQ(RowsForTraining(lives, "refunds"), sent + 5);
  }
}

// A stream that is new to a log, and has no table, has all its rows in it.
TEST(OtherStreams, ANewOneWithoutATableIsRead) {
  Lives lives(Text(kHour, Table::kYes, kKeep));
  for (int i = 0; i < 20; ++i) lives.Send(500);
  lives.LetGo();
  lives.definition_ = Define(WithRefunds(Table::kNo, kKeep));
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  lives.Send(30, "refunds");
  EXPECT_EQ(RowsScanned(lives, "refunds"), 30);
  EXPECT_EQ(RowsForTraining(lives, "refunds"), 30);
}

// The log's beginning is gone, but the new stream has no rows there.
TEST(OtherStreams, ANewOneGetsItsTableWhereTheLogHasLetRowsGo) {
  Lives lives(Text(kHour, Table::kYes, kKeep));
  for (int i = 0; i < 20; ++i) lives.Send(500);
  lives.LetGo();
  lives.definition_ = Define(WithRefunds(Table::kYes, kKeep));
  for (int start = 1; start <= 3; ++start) {
    lives.Die();
    ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
    EXPECT_FALSE(lives.core_->started_from().snapshot.empty());
    lives.Send(30, "refunds");
    lives.machine_->RunFor(std::chrono::seconds(5));
    EXPECT_EQ(Refunds(lives)["state"], "running") << Refunds(lives)["reason"];
    EXPECT_EQ(Refunds(lives)["rows"], 30);  // since the start
    if (start == 2) lives.Snapshot();
  }
}

// A derived one is made of rows that are gone.
TEST(OtherStreams, ANewTableOfRowsThatAreGoneIsRefused) {
  Lives lives(Text(kHour, Table::kYes, kKeep));
  for (int i = 0; i < 20; ++i) lives.Send(500);
  lives.LetGo();
  std::string text = Text(kHour, Table::kYes, kKeep);
  text.insert(text.find("views:\n"), kLarge);
  text.insert(text.find("payments: {commit"), "large: {commit: 1s}, ");
  lives.definition_ = Define(text);
  lives.Die();
  ASSERT_FALSE(lives.started_);
  EXPECT_THAT(lives.started_.error().ToString(), HasSubstr("the table of stream `large` is new"));
}

// Rows of a stream that the file leaves out are nowhere else, or the last ones are not.
TEST(OtherStreams, RowsOfOneThatIsLeftOutStay) {
  const std::string small = "log: {bytes_max: 64MiB}\n";
  for (const Table table : {Table::kNo, Table::kYes}) {
    Lives lives(WithRefunds(table, small));
    lives.Send(100, "refunds");
    lives.definition_ = Define(Text(kHour, Table::kYes, small));
    lives.Die();
    ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
    while (lives.core_->log_status().log_bytes < (50ULL << 20)) lives.Send(20'000);
    lives.Snapshot();
    lives.Send(10);
    lives.Snapshot();
    lives.machine_->RunFor(std::chrono::seconds(20));
    EXPECT_EQ(lives.core_->log_status().first.value, 1U);
    EXPECT_THAT(Status(lives)["log"]["held_by"].get<std::string>(),
                HasSubstr("this file lacks stream refunds"));
  }
}

TEST(OtherStreams, RowsOfOneThatIsLeftOutGoWhereLogKeepSaysSo) {
  Lives lives(WithRefunds(Table::kNo, kKeep));
  lives.Send(100, "refunds");
  lives.definition_ = Define(Text(kHour, Table::kYes, kKeep));
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  for (int i = 0; i < 20; ++i) lives.Send(500);
  lives.LetGo();
}

}  // namespace
}  // namespace headrace::wiring
