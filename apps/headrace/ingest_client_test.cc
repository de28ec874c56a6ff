// The ingest clients against a real Flight server and a gate that is none.

#include <arrow/io/file.h>
#include <arrow/table.h>
#include <gmock/gmock.h>
#include <parquet/arrow/writer.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "columns/arrow/arrow_bridge.h"
#include "columns/batch_builder.h"
#include "flight_ingest.h"
#include "ingest/flight/flight_server.h"
#include "ingest/testing/example_stream.h"
#include "ingest/testing/fake_gate.h"
#include "json_lines.h"
#include "pace.h"
#include "parquet_batches.h"

namespace headrace::app {
namespace {

using ingest::testing::FakeGate;
using ::testing::HasSubstr;

// `rows` landings with ids from 0, every 100th with a delay out of range, in row groups of
// `group_rows`.
std::string WriteLandings(const std::string& name, size_t rows, size_t group_rows) {
  columns::BatchBuilder builder(ingest::testing::Landings().contract->schema());
  for (size_t i = 0; i < rows; ++i) {
    builder.column(0).AppendInt(static_cast<int64_t>(i));
    builder.column(1).AppendInt(980'932'500'000'000);
    builder.column(2).AppendText("ORD");
    builder.column(3).AppendInt(i % 100 == 99 ? 99'999 : 5);
  }
  const auto table = *arrow::Table::FromRecordBatches({*columns::ToArrow(builder.Finish())});
  const std::string path = (std::filesystem::path(::testing::TempDir()) / name).string();
  const auto file = *arrow::io::FileOutputStream::Open(path);
  EXPECT_TRUE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), file,
                                         static_cast<int64_t>(group_rows))
                  .ok());
  return path;
}

class IngestClient : public ::testing::Test {
 protected:
  void StartServer(uint16_t port = 0) {
    auto started = ingest::FlightServer::Start({.port = port, .window_batches = 8}, gate_, budget_,
                                               *environment_, nullptr, {});
    ASSERT_TRUE(started.has_value()) << started.error().ToString();
    server_ = std::move(*started);
    options_.flight.port = server_->port();
  }
  // Ids of all rows that the gate admitted, in order.
  std::vector<int64_t> AdmittedIds() const {
    std::vector<int64_t> ids;
    for (const columns::EventBatch& batch : gate_.batches())
      for (const int64_t id : batch.rows.column(0).Int64s()) ids.push_back(id);
    return ids;
  }
  base::Result<IngestTotals> Ingest(const std::string& file, ParquetRange range,
                                    const std::string& producer = "p") {
    auto batches = ParquetBatches::Open(file, range);
    EXPECT_TRUE(batches.has_value());
    Progress progress(stderr, "test", (*batches)->rows());
    FlightIngest client(options_, producer, **batches, progress);
    const auto ended = client.Run();
    if (!ended) return base::Fail(ended.error());
    return client.totals();
  }

  std::unique_ptr<env::Environment> environment_ = env::MakeRealEnvironment();
  FakeGate gate_{{ingest::testing::Landings()}};
  base::MemoryBudget budget_{64 << 20};
  std::unique_ptr<ingest::FlightServer> server_;
  IngestOptions options_{.stream = "landings", .retry_for = std::chrono::seconds(20)};
};

TEST_F(IngestClient, TheWholeFileOnceAndASecondTimeNothing) {
  StartServer();
  const std::string file = WriteLandings("whole.parquet", 10'000, 3000);
  const auto totals = Ingest(file, {.batch_rows = 256});
  ASSERT_TRUE(totals.has_value()) << totals.error().ToString();
  EXPECT_EQ(totals->rows, 10'000U);
  EXPECT_EQ(totals->accepted, 9'900U);
  EXPECT_EQ(totals->refused, 100U);
  EXPECT_EQ(totals->repeated, 0U);
  EXPECT_THAT(totals->first_refusal, HasSubstr("batch 1, row 99, delay"));
  EXPECT_TRUE(std::ranges::is_sorted(AdmittedIds()));

  const auto again = Ingest(file, {.batch_rows = 256});
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->rows, 10'000U);
  EXPECT_EQ(again->repeated, 10'000U);
  EXPECT_EQ(gate_.rows(), 9'900U);
}

TEST_F(IngestClient, SkipAndLimit) {
  StartServer();
  const std::string file = WriteLandings("range.parquet", 1000, 300);
  const auto totals = Ingest(file, {.batch_rows = 64, .skip = 350, .limit = 40});
  ASSERT_TRUE(totals.has_value());
  EXPECT_EQ(totals->rows, 40U);
  const auto ids = AdmittedIds();
  ASSERT_EQ(ids.size(), 40U);
  EXPECT_EQ(ids.front(), 350);
  EXPECT_EQ(ids.back(), 389);
  EXPECT_EQ(Ingest(file, {.skip = 5000}, "q")->rows, 0U);
}

TEST_F(IngestClient, AServerThatGoesAndComesBackLosesAndDoublesNothing) {
  StartServer();
  const uint16_t port = server_->port();
  const std::string file = WriteLandings("restart.parquet", 200'000, 50'000);
  options_.rate = 100'000;
  std::atomic<bool> done = false;
  std::jthread restarts([&] {
    for (int i = 0; i < 3; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      server_.reset();
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      if (!done) StartServer(port);
    }
  });
  const auto totals = Ingest(file, {.batch_rows = 500});
  done = true;
  restarts.join();
  ASSERT_TRUE(totals.has_value()) << totals.error().ToString();
  EXPECT_GT(totals->reconnects, 0U);
  EXPECT_EQ(totals->rows, 200'000U);
  EXPECT_EQ(totals->accepted, 198'000U);
  EXPECT_EQ(totals->repeated, 0U);
  const auto ids = AdmittedIds();
  EXPECT_EQ(ids.size(), 198'000U);
  EXPECT_EQ(std::ranges::adjacent_find(ids, std::greater_equal()), ids.end());
}

TEST_F(IngestClient, WhatCanNotBeRepeatedEndsTheRun) {
  StartServer();
  const std::string file = WriteLandings("full.parquet", 1000, 1000);
  gate_.FailWith(base::Error(base::ErrorCode::kStorageFull, "the disk is full"));
  EXPECT_EQ(Ingest(file, {}).error().code(), base::ErrorCode::kStorageFull);
  gate_.FailNoMore();
  options_.stream = "takeoffs";
  EXPECT_EQ(Ingest(file, {}).error().code(), base::ErrorCode::kNotFound);
}

TEST_F(IngestClient, NobodyListensForLongerThanRetryFor) {
  StartServer();
  server_.reset();
  options_.retry_for = std::chrono::milliseconds(200);
  const auto totals = Ingest(WriteLandings("nobody.parquet", 10, 10), {});
  ASSERT_FALSE(totals.has_value());
  EXPECT_EQ(totals.error().code(), base::ErrorCode::kUnavailable);
}

TEST(ParquetBatches, FilesThatAreNone) {
  EXPECT_EQ(ParquetBatches::Open("no-such.parquet", {}).error().code(), base::ErrorCode::kNotFound);
  const std::string path = (std::filesystem::path(::testing::TempDir()) / "text.parquet").string();
  std::ofstream(path) << "this is no Parquet file at all";
  EXPECT_EQ(ParquetBatches::Open(path, {}).error().code(), base::ErrorCode::kInvalidInput);
}

TEST(JsonLines, ChunksOfWholeLines) {
  const std::string path = (std::filesystem::path(::testing::TempDir()) / "lines.ndjson").string();
  std::ofstream(path) << "{\"a\":0}\n\n{\"a\":1}\r\n{\"a\":2}\n{\"a\":3}";
  auto lines = JsonLines::Open(path, 2, 1, 3);
  ASSERT_TRUE(lines.has_value());
  const auto first = lines->Next();
  EXPECT_EQ(first->rows, 2U);
  EXPECT_EQ(first->text, "{\"a\":1}\r\n{\"a\":2}\n");
  EXPECT_EQ(lines->Next()->text, "{\"a\":3}\n");
  EXPECT_EQ(lines->Next()->rows, 0U);
}

TEST(Pace, RowsAreDueEvenly) {
  const SteadyTime start{};
  const Pace pace(50'000, start);
  EXPECT_EQ(pace.DueTime(0), start);
  EXPECT_EQ(pace.DueTime(250), start + std::chrono::milliseconds(5));
  EXPECT_EQ(pace.DueTime(3'000'000), start + std::chrono::seconds(60));
  EXPECT_EQ(Pace(0, start).DueTime(1000), start);
  EXPECT_EQ(BatchRows(4096, 0), 4096U);
  EXPECT_EQ(BatchRows(4096, 50'000), 250U);
  EXPECT_EQ(BatchRows(4096, 5'000'000), 4096U);
  EXPECT_EQ(BatchRows(4096, 10), 1U);
}

TEST(Backoff, DoublesUntilItGivesUp) {
  Backoff backoff(std::chrono::seconds(3));
  SteadyTime now{};
  EXPECT_EQ(backoff.Failed(now).count(), 50);
  EXPECT_EQ(backoff.Failed(now).count(), 100);
  backoff.Progressed();
  EXPECT_EQ(backoff.Failed(now += std::chrono::seconds(10)).count(), 50)
      << "counted from the newest failure";
  for (int i = 0; i < 10; ++i) (void)backoff.Failed(now);
  EXPECT_EQ(backoff.Failed(now).count(), 1000);
  EXPECT_EQ(backoff.Failed(now + std::chrono::seconds(3)).count(), 0);
}

TEST(Address, Forms) {
  const Address fallback{.port = 6566};
  EXPECT_EQ(ParseAddress("10.0.0.1:7000", fallback)->ToString(), "10.0.0.1:7000");
  EXPECT_EQ(ParseAddress(":7000", fallback)->ToString(), "127.0.0.1:7000");
  EXPECT_EQ(ParseAddress("7000", fallback)->ToString(), "127.0.0.1:7000");
  EXPECT_EQ(ParseAddress("example.org", fallback)->ToString(), "example.org:6566");
  EXPECT_TRUE(ParseAddress("7000", fallback)->given);
  for (const char* bad : {"", "a:", "a:b", "a:70000", "a:-1", "a:1x"})
    EXPECT_FALSE(ParseAddress(bad, fallback)) << bad;
}

}  // namespace
}  // namespace headrace::app
