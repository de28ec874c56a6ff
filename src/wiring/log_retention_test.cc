// Logs that fill up: whatever held them back, rows come in again once nothing does.

#include "wiring/log_retention.h"

#include <gtest/gtest.h>

#include "wiring/lives_fixture.h"

namespace headrace::wiring {
namespace {

using namespace lives_fixture;  // NOLINT: the test is written in the fixture's words

constexpr int kManyRows = 80'000;  // about 2 MiB of log
constexpr int kFewRows = 1'000;
const std::string kSmallLog = "recovery: 1h\nlog: {bytes_max: 64MiB}\n";

// A batch; false when the log is full.
bool Taken(Lives& lives, int rows) {
  columns::BatchBuilder builder(lives.definition_->streams[0].schema());
  for (int i = 0; i < rows; ++i) {
    builder.column(0).AppendInt(static_cast<int64_t>(lives.random_() % 5));
    builder.column(1).AppendDouble(static_cast<double>(lives.random_() % 999) / 7);
    builder.column(2).AppendInt(lives.now_ += kMinute / 600);
  }
  std::optional<base::Result<log::Acknowledgement>> answer;
  lives.machine_->Run([&] {
    columns::EventBatch batch = lives.definition_->streams[0].contract->Enforce(builder.Finish());
    batch.stream = *lives.core_->StreamNamed("payments");
    lives.core_->Submit(std::move(batch), [&](auto ack) { answer = std::move(ack); });
  });
  lives.machine_->RunUntil([&] { return answer.has_value(); });
  HR_CHECK(*answer || answer->error().code() == base::ErrorCode::kStorageFull,
           answer->error().ToString());
  return answer->has_value();
}

TEST(LogRetention, RowsComeInForEverWhileTheirTableTakesThem) {
  Lives lives(Text(kHour, Table::kYes, kSmallLog));
  uint64_t taken = 0;
  for (int i = 0; i < 80; ++i) {
    taken += Taken(lives, kManyRows) ? 1 : 0;
    lives.machine_->RunFor(std::chrono::seconds(3));
  }
  EXPECT_EQ(taken, 80U);
  EXPECT_GT(lives.core_->log_status().first.value, 1U);
}

// The segment that is being written can't be let go: it must not be all that the log may have.
TEST(LogRetention, RowsComeInForEverThoughTheLogIsNoLargerThanASegment) {
  Lives lives(Text(kHour, Table::kYes, kSmallLog), log::LogOptions{}.segment_bytes);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(Taken(lives, kManyRows)) << i;
    lives.machine_->RunFor(std::chrono::seconds(3));
  }
}

// A table that can't be written, and rows until the log takes no more.
class TableInTheWay {
 public:
  explicit TableInTheWay(Lives& lives) : lives_(lives) {
    env::Files& files = lives.machine_->files();
    HR_CHECK(files.CreateFolders(log_) && env::PutIfAbsent(files, first_, {}), "no table");
    while (Taken(lives, kManyRows)) lives.machine_->RunFor(std::chrono::seconds(3));
    while (Taken(lives, kFewRows)) lives.machine_->RunFor(std::chrono::seconds(1));
  }
  void MakeRoom() {
    env::Files& files = lives_.machine_->files();
    ASSERT_TRUE(files.Remove(first_));
    ASSERT_TRUE(files.SyncFolder(log_));
  }

 private:
  const std::string log_ = std::string(kData) + "/tables/payments/_delta_log";
  const std::string first_ = log_ + "/00000000000000000000.json";
  Lives& lives_;
};

// Its snapshots were taken in lives before, and there are no new rows that ask for another.
TEST(LogRetention, AFullLogIsLetGoOnceItsTableCanBeWritten) {
  Lives lives(Text(kHour, Table::kYes, kSmallLog));
  TableInTheWay table(lives);
  for (int life = 0; life < 2; ++life) {
    lives.Die();
    ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
    if (life == 0) lives.Snapshot();  // of all there is, so that the next start replays nothing
  }
  EXPECT_EQ(lives.core_->started_from().replayed_rows, 0U);
  EXPECT_FALSE(Taken(lives, kManyRows));
  table.MakeRoom();
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  lives.machine_->RunFor(std::chrono::seconds(60));
  EXPECT_TRUE(Taken(lives, kManyRows));
}

// Nor do snapshots of another definition count, and there is no new epoch to take two of.
TEST(LogRetention, AFullLogIsLetGoThoughTheFileIsAnotherOne) {
  Lives lives(Text(kHour, Table::kYes, kSmallLog));
  TableInTheWay table(lives);
  table.MakeRoom();
  lives.definition_ = Define(Text(kDay, Table::kYes, kSmallLog));
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  lives.machine_->RunFor(std::chrono::seconds(60));
  EXPECT_TRUE(Taken(lives, kManyRows));
  const base::EpochId durable = lives.core_->log_status().durable;
  lives.machine_->RunFor(std::chrono::seconds(60));
  EXPECT_LE(lives.core_->log_status().durable.value, durable.value + 3) << "a log with room writes";
}

// The two on disk are as good as if they had been taken in this life.
TEST(LogRetention, GoesOnWithTheSnapshotsOfTheLifeBefore) {
  const std::string pipeline = Text(kHour, Table::kYes, "log: {keep: 1m}\n");
  Lives lives(pipeline);
  for (int i = 0; i < 20; ++i) lives.Send(500);
  lives.Snapshot();
  lives.Send(10);
  lives.Snapshot();
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  EXPECT_EQ(lives.core_->log_status().first.value, 1U);
  lives.Send(100);
  lives.machine_->RunFor(std::chrono::seconds(20));
  EXPECT_GT(lives.core_->log_status().first.value, 10U);
}

// The one before has other views: a start from it would need rows of before.
TEST(LogRetention, ASnapshotOfAnotherDefinitionDoesNotCount) {
  Lives lives(Text(kHour, Table::kYes, "log: {keep: 1m}\n"));
  for (int i = 0; i < 20; ++i) lives.Send(500);
  lives.Snapshot();
  lives.Send(10);
  const std::string other = Text(kDay, Table::kYes, "log: {keep: 1m}\n");
  ASSERT_EQ(lives.Apply(To(other)), "");
  lives.Snapshot();
  lives.definition_ = Define(other);
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  EXPECT_TRUE(lives.core_->started_from().built_views.empty());
  lives.Send(100);
  lives.machine_->RunFor(std::chrono::seconds(20));
  EXPECT_EQ(lives.core_->log_status().first.value, 1U);
}

}  // namespace
}  // namespace headrace::wiring
