// Scans beside an engine that commits, lets its log go and dies: what they give, what they hold
// back, and when they have to stop.

#include "wiring/table_scans.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include <fmt/format.h>

#include "wiring/lives_fixture.h"

namespace headrace::wiring {
namespace {

using namespace lives_fixture;  // NOLINT: the test is written in the fixture's words
using base::ErrorCode;
using ::testing::HasSubstr;
using Rows = std::map<columns::Position, std::string>;

// Tables of a stream that comes in and of some that are made of it; `bare` has none.
std::string Scanned(const std::string& more = "") {
  std::string text = Text(kHour, Table::kNo, more);
  text.insert(text.find("views:\n"),
              "  large: {from: payments, where: amount > 50}\n"
              "  once: {from: payments, dedupe: {by: card, within: 3s}}\n"
              "  paired: {from: payments left join large using (card) within 5s}\n"
              "  bare: {from: payments, where: amount > 20}\n"
              "  lost: {from: payments, dedupe: {by: card, within: 5s}}\n");
  return text +
         "tables:\n  payments: {commit: 1s}\n  large: {commit: 2s}\n  once: {commit: 3s}\n"
         "  paired: {commit: 1s}\n";
}
constexpr std::array kScanned = {"payments", "large", "once", "paired", "bare"};

base::Result<std::unique_ptr<TableScan>> Open(Lives& lives, const tables::ScanRequest& request) {
  base::Result<std::unique_ptr<TableScan>> scan = base::Fail(ErrorCode::kInternal, "died");
  lives.machine_->Run([&] { scan = lives.core_->scans().Open(request, {}); });
  return scan;
}

base::Result<std::optional<columns::ColumnBatch>> Next(Lives& lives, TableScan& scan) {
  base::Result<std::optional<columns::ColumnBatch>> part = base::Fail(ErrorCode::kInternal, "died");
  lives.machine_->Run([&] { part = scan.Next(); });
  return part;
}

// To its end; a place that is there twice is a failure.
Rows ReadAll(Lives& lives, TableScan& scan) {
  Rows rows;
  const columns::Schema& schema = *scan.schema();
  const size_t epoch = *schema.IndexOf("_epoch");
  const size_t number = *schema.IndexOf("_row");
  while (true) {
    const auto part = Next(lives, scan);
    if (!part) ADD_FAILURE() << part.error().ToString();
    if (!part || !*part) return rows;
    for (size_t row = 0; row < (*part)->rows(); ++row) {
      std::string text;
      for (const columns::Column& column : (*part)->columns())
        text += column.At(row).ToJson() + " ";
      const auto at =
          columns::Position::Of({static_cast<uint64_t>((*part)->column(epoch).Int64s()[row])},
                                static_cast<uint64_t>((*part)->column(number).Int32s()[row]));
      EXPECT_TRUE(rows.emplace(at, std::move(text)).second) << "a row is there twice";
    }
  }
}

Rows UpTo(base::EpochId epoch, const Rows& rows) {
  Rows prefix;
  for (const auto& [at, text] : rows)
    if (at.epoch() <= epoch) prefix.emplace(at, text);
  return prefix;
}

TEST(TableScans, EveryStreamIsReadAsOfTheEpochWhateverIsCommittedMeanwhile) {
  Lives lives(Scanned());
  ASSERT_TRUE(lives.started_.has_value()) << lives.started_.error().ToString();
  struct Open1 {
    std::string stream;
    base::EpochId epoch;
    Rows rows;
  };
  std::vector<Open1> seen;
  for (int turn = 0; turn < 30; ++turn) {
    lives.Send(20);
    std::vector<std::pair<const char*, std::unique_ptr<TableScan>>> scans;
    for (const char* stream : kScanned) {
      tables::ScanRequest request{.stream = stream, .columns = {}, .where = {}, .epoch = {}};
      if (turn % 3 == 1) request.epoch = 1 + lives.random_() % lives.core_->visible().value;
      auto scan = Open(lives, request);
      ASSERT_TRUE(scan.has_value()) << stream << ": " << scan.error().ToString();
      if (!request.epoch) {
        EXPECT_EQ((*scan)->figures().epoch, lives.core_->log_status().durable);
      }
      scans.emplace_back(stream, std::move(*scan));
    }
    lives.Send(20);
    lives.machine_->RunFor(std::chrono::milliseconds(lives.random_() % 2000));
    for (const auto& [stream, scan] : scans)
      seen.push_back({stream, scan->figures().epoch, ReadAll(lives, *scan)});
    scans.clear();
    if (turn % 10 == 9) lives.Die();
    if (turn % 10 == 4) lives.Snapshot();
  }
  std::map<std::string, Rows> whole;
  for (const char* stream : kScanned) {
    auto scan = Open(lives, {.stream = stream, .columns = {}, .where = {}, .epoch = {}});
    ASSERT_TRUE(scan.has_value());
    whole[stream] = ReadAll(lives, **scan);
    EXPECT_GT(whole[stream].size(), 50U) << stream;
  }
  EXPECT_EQ(whole["payments"].size(), 30U * 40);
  for (const Open1& one : seen)
    EXPECT_EQ(one.rows, UpTo(one.epoch, whole[one.stream]))
        << one.stream << " as of " << one.epoch.value;
}

// It goes on with other epochs than those that the tables have, and is past their markers one day.
TEST(TableScans, TablesAheadOfARestoredLogAreRefusedHoweverFarItGoes) {
  Lives lives(Scanned());
  const std::string log = std::string(kData) + "/log";
  const auto files = [&]() -> env::Files& { return lives.machine_->files(); };
  const auto settle = [&] { lives.machine_->RunFor(std::chrono::seconds(10)); };
  lives.Send(20);
  settle();
  std::map<std::string, std::vector<uint8_t>> copy;
  const auto then = *files().List(log);
  for (const std::string& name : then) copy[name] = *files().ReadAll(log + "/" + name);
  for (int i = 0; i < 3; ++i) lives.Send(20);
  settle();
  lives.machine_->Crash(env::simulated::CrashKind::kKill);
  lives.core_.reset();
  lives.machine_ = lives.machine_->Reboot(5);
  const auto now = *files().List(log);
  for (const std::string& name : now) ASSERT_TRUE(files().Remove(log + "/" + name));
  for (const auto& [name, bytes] : copy)
    ASSERT_TRUE(env::PutAtomically(files(), log + "/" + name, bytes));
  lives.Start();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  for (int i = 0; i < 20; ++i) {
    for (const char* name : {"payments", "large", "once", "paired"}) {
      const auto scan = Open(lives, {.stream = name});
      ASSERT_FALSE(scan) << name;
      EXPECT_THAT(scan.error().message(), HasSubstr("the log was restored from an older copy"));
    }
    lives.Send(20);
    settle();
  }
}

// Its only plan was carried out, and the log has let its rows go.
TEST(TableScans, ATableThatIsGoneIsNotMadeAnewByAStart) {
  std::string text = Scanned("log: {keep: 1m}\n");
  text.replace(text.find("payments: {commit: 1s}"), 22, "payments: {commit: 1h}");
  Lives lives(text);
  for (int i = 0; i < 20; ++i) lives.Send(500);
  std::optional<base::Result<void>> flushed;
  lives.machine_->Run(
      [&] { lives.core_->FlushTables([&](auto result) { flushed = std::move(result); }); });
  lives.machine_->RunUntil([&] { return flushed.has_value(); });
  ASSERT_TRUE(flushed->has_value()) << flushed->error().ToString();
  lives.LetGo();
  const std::string log = std::string(kData) + "/tables/payments/_delta_log";
  const auto names = *lives.machine_->files().List(log);
  for (const std::string& name : names)
    ASSERT_TRUE(lives.machine_->files().Remove(log + "/" + name));
  ASSERT_TRUE(lives.machine_->files().SyncFolder(log));
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  lives.machine_->RunFor(std::chrono::seconds(5));
  EXPECT_TRUE(lives.machine_->files().List(log)->empty());
  const auto scan = Open(lives, {.stream = "payments"});
  ASSERT_FALSE(scan);
  EXPECT_THAT(scan.error().message(), HasSubstr("restored from an older copy"));
}

TEST(TableScans, TheLogIsKeptForAScanUntilItsTailIsRead) {
  Lives lives(Text(kHour, Table::kYes, "log: {keep: 1s}\n"));
  for (int i = 0; i < 30; ++i) lives.Send(100);
  auto scan = Open(lives, {.stream = "payments", .columns = {}, .where = {}, .epoch = {}});
  ASSERT_TRUE(scan.has_value()) << scan.error().ToString();
  const base::EpochId marker = (*scan)->figures().marker;
  ASSERT_LT(marker, (*scan)->figures().epoch) << "there is no tail to be kept";
  lives.Snapshot();
  for (int i = 0; i < 30; ++i) lives.Send(100);
  lives.Snapshot();
  for (int i = 0; i < 30; ++i) lives.Send(100);
  lives.machine_->RunFor(std::chrono::seconds(10));
  EXPECT_LE(lives.core_->log_status().first, marker.Next());
  EXPECT_EQ(ReadAll(lives, **scan).size(), 3000U);
  lives.machine_->RunFor(std::chrono::seconds(5));
  EXPECT_GT(lives.core_->log_status().first, marker.Next()) << "nothing is let go any more";
}

TEST(TableScans, AReaderThatTakesNothingIsRevokedAndWhatItHeldIsFree) {
  base::MemoryBudget budget(1ULL << 30);
  Lives lives(Text(kHour, Table::kYes, "log: {keep: 1s}\n"));
  lives.budget_ = &budget;
  lives.Die();
  for (int i = 0; i < 30; ++i) lives.Send(100);
  const uint64_t before = budget.used_bytes(base::MemoryAccount::kTables);
  auto scan = Open(lives, {.stream = "payments", .columns = {}, .where = {}, .epoch = {}});
  ASSERT_TRUE(scan.has_value()) << scan.error().ToString();
  EXPECT_GE(budget.used_bytes(base::MemoryAccount::kTables),
            before + tables::SnapshotScan::kWorkBytes);
  lives.machine_->RunFor(TableScans::kSlowReaderMax + std::chrono::seconds(2));
  EXPECT_LT(budget.used_bytes(base::MemoryAccount::kTables), tables::SnapshotScan::kWorkBytes);
  const auto part = Next(lives, **scan);
  ASSERT_FALSE(part.has_value());
  EXPECT_EQ(part.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(part.error().message(), HasSubstr("revoked"));
  lives.LetGo();  // the log, too
  scan->reset();
}

TEST(TableScans, ASteadyReaderIsNotRevoked) {
  Lives lives(Text(kHour, Table::kYes));
  lives.Send(10);
  auto scan = Open(lives, {.stream = "payments", .columns = {}, .where = {}, .epoch = {}});
  ASSERT_TRUE(scan.has_value());
  lives.machine_->RunFor(TableScans::kSlowReaderMax - std::chrono::seconds(2));
  ASSERT_TRUE(Next(lives, **scan).has_value());
  lives.machine_->RunFor(TableScans::kSlowReaderMax - std::chrono::seconds(2));
  EXPECT_TRUE(Next(lives, **scan).has_value());
}

TEST(TableScans, OneTooManyIsRefusedUntilAnotherEnds) {
  Lives lives(Text(kHour, Table::kYes));
  lives.Send(10);
  const tables::ScanRequest request{.stream = "payments", .columns = {}, .where = {}, .epoch = {}};
  std::vector<std::unique_ptr<TableScan>> scans;
  for (size_t i = 0; i < TableScans::kScansMax; ++i) {
    auto scan = Open(lives, request);
    ASSERT_TRUE(scan.has_value()) << scan.error().ToString();
    scans.push_back(std::move(*scan));
  }
  const auto refused = Open(lives, request);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::kResourceExhausted);
  scans.pop_back();
  EXPECT_TRUE(Open(lives, request).has_value());
}

TEST(TableScans, RowsThatStandNowhereAreRefusedWithTheReason) {
  Lives lives(Scanned("log: {keep: 1s}\n"));
  for (int i = 0; i < 30; ++i) lives.Send(100);
  const auto lost = Open(lives, {.stream = "lost", .columns = {}, .where = {}, .epoch = {}});
  ASSERT_FALSE(lost.has_value());
  EXPECT_EQ(lost.error().code(), ErrorCode::kUnsupported);
  lives.LetGo();
  const auto bare = Open(lives, {.stream = "bare", .columns = {}, .where = {}, .epoch = {}});
  ASSERT_FALSE(bare.has_value());
  EXPECT_EQ(bare.error().code(), ErrorCode::kFailedPrecondition);
  EXPECT_THAT(bare.error().message(), HasSubstr("has no table"));
  const auto ahead = Open(lives, {.stream = "payments", .columns = {}, .where = {}, .epoch = 9999});
  ASSERT_FALSE(ahead.has_value());
  EXPECT_EQ(ahead.error().code(), ErrorCode::kInvalidInput);
}

TEST(TableScans, ADataFileThatSomebodyTookAwayEndsTheScanRetryably) {
  Lives lives(Text(kHour, Table::kYes));
  lives.Send(10);
  lives.machine_->RunFor(std::chrono::seconds(3));
  auto scan = Open(lives, {.stream = "payments", .columns = {}, .where = {}, .epoch = {}});
  ASSERT_TRUE(scan.has_value());
  lives.machine_->Run([&] {
    const std::string folder = std::string(kData) + "/tables/payments";
    const auto names = lives.machine_->files().List(folder);
    ASSERT_TRUE(names.has_value());
    for (const std::string& name : *names) {
      if (!name.ends_with(".parquet")) continue;
      EXPECT_TRUE(lives.machine_->files().Remove(folder + "/" + name).has_value());
    }
  });
  const auto part = Next(lives, **scan);
  ASSERT_FALSE(part.has_value());
  EXPECT_EQ(part.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(part.error().message(), HasSubstr("went away"));
}

TEST(TableScans, AStopEndsScans) {
  Lives lives(Text(kHour, Table::kYes));
  lives.Send(10);
  auto scan = Open(lives, {.stream = "payments", .columns = {}, .where = {}, .epoch = {}});
  ASSERT_TRUE(scan.has_value());
  lives.machine_->Run([&] { lives.core_->scans().Close(); });
  const auto part = Next(lives, **scan);
  ASSERT_FALSE(part.has_value());
  EXPECT_EQ(part.error().code(), ErrorCode::kUnavailable);
  EXPECT_FALSE(
      Open(lives, {.stream = "payments", .columns = {}, .where = {}, .epoch = {}}).has_value());
}

TEST(TableScans, MemoryThatIsNotThereIsRefusedAtTheBegin) {
  base::MemoryBudget budget(48ULL << 20);
  Lives lives(Text(kHour, Table::kYes));
  lives.budget_ = &budget;
  lives.Die();
  lives.Send(10);
  const tables::ScanRequest request{.stream = "payments", .columns = {}, .where = {}, .epoch = {}};
  auto first = Open(lives, request);
  ASSERT_TRUE(first.has_value()) << first.error().ToString();
  const auto second = Open(lives, request);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code(), ErrorCode::kResourceExhausted);
  first->reset();
  EXPECT_TRUE(Open(lives, request).has_value());
}

}  // namespace
}  // namespace headrace::wiring
