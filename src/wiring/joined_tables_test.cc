// Tables of streams whose rows depend on others, over kills, snapshots and a trimmed log: each row
// once, at its place, as a replay of the log makes it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "log/reader.h"
#include "pipeline/streams/derived_streams.h"
#include "tables/table_reader.h"
#include "wiring/lives_fixture.h"
#include "wiring/table_scans.h"

namespace headrace::wiring {
namespace {

using namespace lives_fixture;  // NOLINT: the test is written in the fixture's words
using testing::HasSubstr;

constexpr std::array kJoined = {"once", "paired", "placed", "dear"};

std::string Joined(const std::string& more = "") {
  std::string text = Text(kHour, Table::kNo, more);
  text.insert(text.find("views:\n"),
              "  large: {from: payments, where: amount > 50}\n"
              "  once: {from: payments, dedupe: {by: card, within: 3s}}\n"
              "  paired: {from: payments left join large using (card) within 5s}\n"
              "  placed: {from: payments asof left join large using (card)}\n"
              "  dear: {from: placed, where: large.amount > 100, drop: [large.paid_at]}\n");
  text += "tables:\n";
  for (const char* name : kJoined) text += fmt::format("  {}: {{commit: 1s}}\n", name);
  return text + "  payments: {commit: 1s}\n";
}

std::string RowText(const columns::ColumnBatch& rows, size_t row) {
  std::string text;
  for (size_t field = 0; field < rows.columns().size(); ++field)
    text += rows.column(field).At(row).ToJson() + " ";
  return text;
}

using Rows = std::map<columns::Position, std::string>;

// Of a table; a place that is there twice is a failure.
Rows Published(Lives& lives, const std::string& name) {
  Rows rows;
  lives.machine_->Run([&] {
    const auto table =
        tables::TableReader::Open(*lives.machine_, std::string(kData) + "/tables/" + name);
    ASSERT_TRUE(table.has_value()) << table.error().ToString();
    const auto& stream = lives.definition_->streams[*lives.definition_->StreamNamed(name)];
    const auto scanned = (*table)->Scan(
        stream.schema(), [&](const tables::PositionedRows& part) -> base::Result<void> {
          for (size_t row = 0; row < part.rows.rows(); ++row) {
            std::string text = RowText(part.rows, row) + std::to_string(part.known_at[row]);
            EXPECT_TRUE(rows.emplace(part.positions[row], std::move(text)).second)
                << name << " has a row twice";
          }
          return {};
        });
    ASSERT_TRUE(scanned.has_value()) << scanned.error().ToString();
  });
  return rows;
}

// What the log says that they are.
std::map<std::string, Rows> Replayed(Lives& lives) {
  std::map<std::string, Rows> all;
  lives.machine_->Run([&] {
    base::MemoryBudget budget(1ULL << 40);
    pipeline::DerivedStreams derived(*lives.definition_, budget);
    const auto id = lives.core_->StreamNamed("payments");
    const auto log = log::LogReader::Open(*lives.machine_, std::string(kData) + "/log");
    ASSERT_TRUE(id && log);
    const auto newest = (*log)->Newest();
    ASSERT_TRUE(newest.has_value());
    const auto scanned = (*log)->Scan(
        base::EpochId{1}, *newest, [&](const log::EpochRef& epoch) -> base::Result<void> {
          std::vector<columns::ColumnBatch> batches(lives.definition_->streams.size());
          if (const auto* rows = epoch->RowsOf(*id)) batches[0] = *rows;
          derived.Apply(epoch->id, batches);
          for (const char* name : kJoined) {
            const size_t stream = *lives.definition_->StreamNamed(name);
            const auto known_at = derived.KnownAtOf(stream);
            for (size_t row = 0; row < batches[stream].rows(); ++row)
              all[name].emplace(columns::Position::Of(epoch->id, row),
                                RowText(batches[stream], row) + std::to_string(known_at[row]));
          }
          return {};
        });
    ASSERT_TRUE(scanned.has_value()) << scanned.error().ToString();
  });
  return all;
}

void Flush(Lives& lives) {
  std::optional<base::Result<void>> flushed;
  lives.machine_->Run(
      [&] { lives.core_->FlushTables([&](auto result) { flushed = std::move(result); }); });
  lives.machine_->RunUntil([&] { return flushed.has_value() || lives.machine_->crashed(); });
  ASSERT_TRUE(flushed.has_value());
  ASSERT_TRUE(flushed->has_value()) << flushed->error().ToString();
}

TEST(JoinedTables, AreWhatTheLogSaysOverAKillAnywhere) {
  for (const char* point : {"publish.before_plan", "publish.after_plan", "publish.before_file",
                            "publish.after_file", "publish.after_files", "publish.after_commit",
                            "applier.before_apply", "applier.after_apply", "log.after_sync"}) {
    for (const auto kind :
         {env::simulated::CrashKind::kKill, env::simulated::CrashKind::kPowerCut}) {
      for (const bool snapshots : {false, true}) {
        Lives lives(Joined());
        for (int life = 1; life <= 3; ++life) {
          for (int i = 0; i < 6 && !lives.machine_->crashed(); ++i) {
            lives.Send(20);
            lives.machine_->RunFor(std::chrono::milliseconds(700));
            if (snapshots && i == 2 && !lives.machine_->crashed()) lives.Snapshot();
            if (i != 3 || life == 3) continue;
            auto& faults = lives.machine_->faults();
            faults.crash_point = point;
            faults.crash_kind = kind;
            const auto visits = lives.machine_->crash_point_visits();
            faults.crash_hit =
                (visits.contains(point) ? visits.at(point) : 0) + static_cast<uint64_t>(life);
          }
          if (life == 3) break;
          EXPECT_TRUE(lives.machine_->crashed()) << point;
          lives.Die();
          ASSERT_TRUE(lives.started_) << point << ": " << lives.started_.error().ToString();
        }
        Flush(lives);
        auto replayed = Replayed(lives);
        for (const char* name : kJoined) {
          EXPECT_GT(replayed[name].size(), 20U) << name;
          EXPECT_EQ(Published(lives, name), replayed[name]) << name << " " << point;
        }
      }
    }
  }
}

// What waits for its table is in the snapshot: the log has let go of what it was made of.
TEST(JoinedTables, WhatWaitsSurvivesATrimmedLog) {
  const std::string keep = "log: {keep: 1m}\n";
  Lives lives(Joined(keep));
  Lives fresh(Joined(keep));
  const auto send = [&](int rows) {
    lives.Send(rows);
    fresh.Send(rows);
  };
  for (int i = 0; i < 30; ++i) {
    send(500);
    lives.machine_->RunFor(std::chrono::milliseconds(200));
    if (i % 6 == 5) lives.Snapshot();
    if (i % 10 != 9) continue;
    lives.machine_->RunFor(std::chrono::seconds(10));
    send(40);
    lives.Snapshot();  // with rows that no table has yet
    lives.Die();
    (void)fresh.random_();  // as the new life has taken one
    ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  }
  EXPECT_GT(lives.core_->log_status().first.value, 10U);
  Flush(lives);
  Flush(fresh);
  for (const char* name : kJoined) {
    std::vector<std::string> ours;
    std::vector<std::string> theirs;
    for (const auto& [position, row] : Published(lives, name)) ours.push_back(row);
    for (const auto& [position, row] : Published(fresh, name)) theirs.push_back(row);
    EXPECT_GT(ours.size(), 200U) << name;
    EXPECT_EQ(ours, theirs) << name;
  }
}

std::string ScanError(Lives& lives, const std::string& name) {
  std::string why;
  lives.machine_->Run([&] {
    auto scan = lives.core_->scans().Open({.stream = name}, {});
    if (!scan) why = scan.error().ToString();
  });
  return why;
}

// Nobody makes the rows again that it had: neither a plan that is carried out once more nor a scan
// may take it for one that is only just behind.
TEST(JoinedTables, OneThatIsAnOlderCopyIsRefused) {
  for (const int behind : {1, 2}) {
    Lives lives(Joined());
    for (int plan = 0; plan < 3; ++plan) {
      lives.Send(40);
      Flush(lives);
    }
    lives.Snapshot();
    for (const char* name : kJoined) EXPECT_EQ(ScanError(lives, name), "");
    for (const char* name : kJoined) {
      const std::string log = std::string(kData) + "/tables/" + name + "/_delta_log";
      auto names = lives.machine_->files().List(log);
      ASSERT_TRUE(names.has_value());
      std::erase_if(*names, [](const std::string& each) { return !each.ends_with(".json"); });
      ASSERT_GT(names->size(), 3U);
      for (int i = 0; i < behind; ++i)
        ASSERT_TRUE(lives.machine_->files().Remove(log + "/" + *(names->end() - 1 - i)));
      ASSERT_TRUE(lives.machine_->files().SyncFolder(log));
    }
    for (int life = 0; life < 2; ++life) {
      for (const char* name : kJoined)
        EXPECT_THAT(ScanError(lives, name), HasSubstr("it was restored from an older copy"));
      lives.Die();
      ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
    }
    std::optional<base::Result<void>> flushed;
    lives.machine_->Run(
        [&] { lives.core_->FlushTables([&](auto result) { flushed = std::move(result); }); });
    lives.machine_->RunUntil([&] { return flushed.has_value(); });
    ASSERT_FALSE(flushed->has_value());
    EXPECT_THAT(flushed->error().message(), HasSubstr("the table was restored"));
  }
}

}  // namespace
}  // namespace headrace::wiring
