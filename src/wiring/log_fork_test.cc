// An engine that starts from a fork of another one's log: it answers the same, makes tables of its
// own, and lets its own segments go.
#include <gtest/gtest.h>

#include <map>

#include <fmt/format.h>

#include "log/log_survey.h"
#include "log/reader.h"
#include "tables/table_reader.h"
#include "wiring/lives_fixture.h"

namespace headrace::wiring {
namespace {

using namespace lives_fixture;  // NOLINT: the test is written in the fixture's words

constexpr const char* kFork = "fork";

using Rows = std::map<columns::Position, std::string>;

std::string TextOf(const columns::ColumnBatch& rows, size_t row) {
  std::string text;
  for (const columns::Column& column : rows.columns()) text += column.At(row).ToJson() + " ";
  return text;
}

Rows Published(Lives& lives, const std::string& data) {
  Rows rows;
  lives.machine_->Run([&] {
    const auto table = tables::TableReader::Open(*lives.machine_, data + "/tables/payments");
    ASSERT_TRUE(table.has_value()) << table.error().ToString();
    const auto scanned = (*table)->Scan(
        lives.definition_->streams[0].schema(),
        [&](const tables::PositionedRows& part) -> base::Result<void> {
          for (size_t row = 0; row < part.rows.rows(); ++row)
            EXPECT_TRUE(rows.emplace(part.positions[row], TextOf(part.rows, row)).second);
          return {};
        });
    ASSERT_TRUE(scanned.has_value()) << scanned.error().ToString();
  });
  return rows;
}

Rows Logged(Lives& lives, const std::string& data) {
  Rows rows;
  lives.machine_->Run([&] {
    const auto log = log::LogReader::Open(*lives.machine_, data + "/log");
    ASSERT_TRUE(log.has_value());
    const auto scanned = (*log)->Scan(
        base::EpochId{1}, *(*log)->Newest(), [&](const log::EpochRef& epoch) -> base::Result<void> {
          for (const log::StreamRows& stream : epoch->streams)
            for (size_t row = 0; row < stream.rows.rows(); ++row)
              rows.emplace(columns::Position::Of(epoch->id, row), TextOf(stream.rows, row));
          return {};
        });
    ASSERT_TRUE(scanned.has_value()) << scanned.error().ToString();
  });
  return rows;
}

void Flush(Lives& lives) {
  std::optional<base::Result<void>> flushed;
  lives.machine_->Run(
      [&] { lives.core_->FlushTables([&](auto result) { flushed = std::move(result); }); });
  lives.machine_->RunUntil([&] { return flushed.has_value(); });
  ASSERT_TRUE(flushed->has_value()) << flushed->error().ToString();
}

// The power goes while the table is being published, so that the log names plans whose files are
// the original's. What starts next is the fork.
void GoOnFromAFork(Lives& lives, const char* point) {
  for (int i = 0; i < 8; ++i) {
    lives.Send(20);
    lives.machine_->RunFor(std::chrono::milliseconds(400));
  }
  lives.machine_->faults().crash_point = point;
  lives.machine_->faults().crash_hit =
      lives.machine_->crash_point_visits().contains(point)
          ? lives.machine_->crash_point_visits().find(point)->second + 1
          : 1;
  for (int i = 0; i < 8 && !lives.machine_->crashed(); ++i) {
    lives.Send(20);
    lives.machine_->RunFor(std::chrono::milliseconds(400));
  }
  ASSERT_TRUE(lives.machine_->crashed());
  lives.core_.reset();
  lives.machine_ = lives.machine_->Reboot(2);
  lives.machine_->Run([&] {
    const auto forked = log::ForkLog(*lives.machine_, std::string(kData) + "/log",
                                     std::string(kFork) + "/log", std::nullopt, {});
    ASSERT_TRUE(forked.has_value()) << forked.error().ToString();
  });
  lives.data_ = kFork;
  lives.Start();
  ASSERT_TRUE(lives.started_.has_value()) << lives.started_.error().ToString();
}

TEST(LogFork, HasATableOfItsOwn) {
  for (const char* point : {"publish.after_plan", "publish.after_files", "publish.after_commit"}) {
    SCOPED_TRACE(point);
    Lives lives(Text(kDay, Table::kYes));
    GoOnFromAFork(lives, point);
    Flush(lives);
    const Rows logged = Logged(lives, kFork);
    EXPECT_GE(logged.size(), 160U);
    EXPECT_EQ(Published(lives, kFork), logged);
    const std::string answers = lives.Answers();
    // And on, over a death of its own.
    lives.Send(30);
    lives.Die();
    ASSERT_TRUE(lives.started_.has_value()) << lives.started_.error().ToString();
    lives.Send(30);
    Flush(lives);
    EXPECT_EQ(Published(lives, kFork), Logged(lives, kFork));
    EXPECT_EQ(Logged(lives, kFork).size(), logged.size() + 60);

    // The original is where it was left, and answers what the fork did.
    lives.machine_->Crash();
    lives.core_.reset();
    lives.machine_ = lives.machine_->Reboot(3);
    lives.data_ = kData;
    lives.Start();
    ASSERT_TRUE(lives.started_.has_value()) << lives.started_.error().ToString();
    EXPECT_EQ(lives.Answers(), answers);
    Flush(lives);
    EXPECT_EQ(Published(lives, kData), logged);
  }
}

TEST(LogFork, LetsItsOwnSegmentsGo) {
  Lives lives(Text(kDay, Table::kYes, "log: {keep: 1m}\n"));
  GoOnFromAFork(lives, "publish.after_files");
  for (int i = 0; i < 40; ++i) lives.Send(100);
  Flush(lives);
  lives.LetGo();
  const std::string answers = lives.Answers();
  lives.Die();
  ASSERT_TRUE(lives.started_.has_value()) << lives.started_.error().ToString();
  EXPECT_EQ(lives.Answers(), answers);
  lives.machine_->Run([&] {
    EXPECT_TRUE(log::SurveyLog(*lives.machine_, std::string(kFork) + "/log", {})->damages.empty());
  });
}

}  // namespace
}  // namespace headrace::wiring
