// Logs that fill up: whatever held them back, rows come in again once nothing does.

#include "wiring/log_retention.h"

#include <gtest/gtest.h>

#include "wiring/lives_fixture.h"

namespace headrace::wiring {
namespace {

using namespace lives_fixture;  // NOLINT: the test is written in the fixture's words

constexpr int kManyRows = 80'000;  // about 2 MiB of log
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

}  // namespace
}  // namespace headrace::wiring
