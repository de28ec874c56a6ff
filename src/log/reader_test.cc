// LogReader beside a running writer, on the real machine with its threads.

#include "log/reader.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "log/log_fixture.h"

namespace headrace::log {
namespace {

class ReaderBesideWriter : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "headrace-log-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<Sequencer> OpenLog() {
    LogOptions options = TestOptions();
    options.segment_bytes = 256 << 10;
    auto opened =
        Sequencer::Open(*environment_, budget_, folder_, options, [&](const Epoch& epoch) {
          for (const int64_t id : IdsOf(epoch)) recovered_.push_back(id);
          return base::Result<void>();
        });
    EXPECT_TRUE(opened) << opened.error().ToString();
    return std::move(*opened);
  }

  std::unique_ptr<env::Environment> environment_ = env::MakeRealEnvironment();
  base::MemoryBudget budget_{1ULL << 30};
  std::string folder_;
  std::vector<int64_t> recovered_;
};

TEST_F(ReaderBesideWriter, SeesADurablePrefixAtAnyTimeAndEverythingAtTheEnd) {
  constexpr int64_t kBatches = 400;
  auto sequencer = OpenLog();
  const base::StreamId stream = *sequencer->AddStream("events", TestSchema(), TestTiming());
  std::atomic<int64_t> acknowledged = 0;
  sequencer->Start(nullptr);
  std::jthread writer([&] {
    for (int64_t i = 0; i < kBatches; ++i) {
      const std::vector<TestRow> rows(50, {100, i});
      sequencer->Submit(BatchOf(stream, rows, "p", static_cast<uint64_t>(i + 1)),
                        [&](const base::Result<Acknowledgement>& ack) {
                          ASSERT_TRUE(ack) << ack.error().ToString();
                          ++acknowledged;
                        });
      while (i - acknowledged > 40) std::this_thread::yield();
    }
  });
  const auto reader = *LogReader::Open(*environment_, folder_);
  base::EpochId seen;
  int64_t last_id = -1;
  while (last_id < kBatches - 1) {
    const int64_t floor = acknowledged;  // all of these must be seen
    int64_t rows_seen_to = last_id;
    const auto scanned = reader->Scan(seen.Next(), {1ULL << 39}, [&](const EpochRef& epoch) {
      EXPECT_EQ(epoch->id, seen.Next());
      seen = epoch->id;
      for (const int64_t id : IdsOf(*epoch)) {
        EXPECT_TRUE(id == rows_seen_to || id == rows_seen_to + 1);
        rows_seen_to = id;
      }
      return base::Result<void>();
    });
    ASSERT_TRUE(scanned) << scanned.error().ToString();
    last_id = rows_seen_to;
    ASSERT_GE(last_id + 1, floor) << "an acknowledged row is not visible";
    std::this_thread::yield();
  }
  writer.join();
  EXPECT_EQ(*reader->Newest(), sequencer->status().durable);
}

TEST_F(ReaderBesideWriter, ScansFromTheMiddleAndStopsAtAnErrorOfTheVisitor) {
  auto sequencer = OpenLog();
  const base::StreamId stream = *sequencer->AddStream("events", TestSchema(), TestTiming());
  sequencer->Start(nullptr);
  std::atomic<int> left = 200;
  for (int64_t i = 0; i < 200; ++i)
    sequencer->Submit(BatchOf(stream, std::vector<TestRow>(300, {100, i})),
                      [&](const base::Result<Acknowledgement>&) { --left; });
  sequencer->Stop();
  EXPECT_EQ(left, 0);
  const auto reader = *LogReader::Open(*environment_, folder_);
  const base::EpochId newest = *reader->Newest();
  for (uint64_t first = 1; first <= newest.value; ++first) {
    uint64_t next = first;
    ASSERT_TRUE(reader->Scan({first}, newest, [&](const EpochRef& epoch) {
      EXPECT_EQ(epoch->id.value, next++);
      return base::Result<void>();
    }));
    EXPECT_EQ(next, newest.value + 1);
  }
  int visits = 0;
  const auto stopped = reader->Scan({1}, newest, [&](const EpochRef&) -> base::Result<void> {
    ++visits;
    return base::Fail(base::ErrorCode::kInternal, "enough");
  });
  EXPECT_EQ(stopped.error().code(), base::ErrorCode::kInternal);
  EXPECT_EQ(visits, 1);
}

TEST_F(ReaderBesideWriter, ARestartedLogGoesOnWhereItEnded) {
  for (int life = 0; life < 3; ++life) {
    recovered_.clear();
    auto sequencer = OpenLog();
    EXPECT_EQ(recovered_.size(), static_cast<size_t>(life * 20));
    const base::StreamId stream = *sequencer->AddStream("events", TestSchema(), TestTiming());
    sequencer->Start(nullptr);
    EXPECT_EQ(sequencer->LastSequence(stream, "p"), static_cast<uint64_t>(life * 20));
    for (int64_t i = life * 20; i < life * 20 + 20; ++i)
      sequencer->Submit(BatchOf(stream, {{100, i}}, "p", static_cast<uint64_t>(i + 1)),
                        [](const base::Result<Acknowledgement>& ack) { EXPECT_TRUE(ack); });
    sequencer->Stop();
  }
  EXPECT_EQ(ReadIds(*environment_, folder_)->size(), 60U);
}

TEST_F(ReaderBesideWriter, AFolderWithoutALogSaysSo) {
  EXPECT_EQ(LogReader::Open(*environment_, folder_).error().code(), base::ErrorCode::kNotFound);
}

}  // namespace
}  // namespace headrace::log
