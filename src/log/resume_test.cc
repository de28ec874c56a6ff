// Captures of the log's own state under traffic, and recovery from the middle.

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "base/log.h"
#include "log/log_fixture.h"
#include "log/state_capture.h"

namespace headrace::log {
namespace {

using base::ErrorCode;
using env::simulated::CrashKind;
using env::simulated::SimulatedEnvironment;

class Resume : public testing::Test {
 protected:
  void SetUp() override {
    base::SetLogSink([](const base::LogLine&) {});
  }
  void TearDown() override { base::SetLogSink({}); }
};

LogOptions SmallOptions(ClockMode clock = ClockMode::kEvents) {
  LogOptions options = TestOptions();
  options.clock = clock;
  options.producers_max = 10;
  options.outcomes_per_producer = 4;
  options.idempotency_keys_max = 15;
  options.capture_slice_bytes = 100;
  return options;
}

std::string CodeOf(const std::optional<base::Error>& error) {
  return error ? error->ToString() : "none";
}

// Senders that go on until they are told to stop; captures are taken meanwhile.
class Senders {
 public:
  Senders(SimulatedEnvironment& machine, TestLog& log, uint64_t seed)
      : machine_(machine), log_(log), random_(seed) {}

  void Act() {
    if (random_() % 2 == 0) {
      for (uint64_t i = random_() % 8; i > 0; --i) machine_.Step();
      return;
    }
    columns::EventBatch batch = BatchOf(log_.stream, Rows());
    const uint64_t kind = random_() % 4;
    if (kind == 0) {
      batch.source = {"", 0, "key-" + std::to_string(random_() % 40)};
    } else if (kind < 3) {
      batch.source.producer = "producer-" + std::to_string(random_() % 16);
      uint64_t& sent = sent_[batch.source.producer];
      batch.source.sequence = sent + 1;
    }
    const std::string producer = batch.source.producer;
    if (random_() % 5 == 0) batch.atomicity = columns::Atomicity::kAllOrNone;
    machine_.Run([&] {
      log_.sequencer->Submit(std::move(batch), [this, producer](const TestLog::Ack& ack) {
        if (ack && !producer.empty()) ++sent_[producer];
        // A forgotten one begins again; two of its batches under way are a gap or a repeat.
        if (!ack) sent_[producer] = log_.sequencer->LastSequence(log_.stream, producer);
      });
    });
  }

 private:
  std::vector<TestRow> Rows() {
    std::vector<TestRow> rows;
    for (uint64_t i = 1 + random_() % 3; i > 0; --i)
      rows.push_back({random_() % 6 == 0 ? 7 : 1'000 + ++clock_, ++id_});
    return rows;
  }

  SimulatedEnvironment& machine_;
  TestLog& log_;
  std::mt19937_64 random_;
  std::map<std::string, uint64_t> sent_;
  int64_t id_ = 0;
  int64_t clock_ = 0;
};

TEST_F(Resume, FromACaptureAndLaterEpochsTheLogIsWhatItIsFromAllEpochs) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    LogOptions options = SmallOptions(random() % 2 == 0 ? ClockMode::kEvents : ClockMode::kWall);
    if (random() % 3 == 0) options.durability = Durability::kOs;
    std::vector<StateCapture> captures;
    auto machine = std::make_unique<SimulatedEnvironment>(seed);
    {
      TestLog log(*machine, options);
      ASSERT_TRUE(log.Open());
      Senders senders(*machine, log, seed);
      for (int i = 0; i < 700; ++i) {
        senders.Act();
        if (random() % 40 == 0)
          log.sequencer->CaptureState([&](base::Result<StateCapture> taken) {
            if (!taken) {
              EXPECT_EQ(taken.error().code(), ErrorCode::kResourceExhausted);
              return;
            }
            EXPECT_LE(taken->epoch, log.sequencer->status().durable);
            taken->charges.clear();
            captures.push_back(std::move(*taken));
          });
      }
      ASSERT_TRUE(machine->RunUntilIdle());
      // Nothing that was handed out may be ahead of what a power cut leaves.
      machine->Crash(CrashKind::kPowerCut);
      log.sequencer.reset();
    }
    ASSERT_GE(captures.size(), 3U);
    machine = machine->Reboot(seed + 1);
    std::optional<StateCapture> expected;
    {
      TestLog log(*machine, options);
      ASSERT_TRUE(log.Open());
      ASSERT_FALSE(log.error) << CodeOf(log.error);
      expected = *log.Capture();
    }
    for (const StateCapture& capture : captures) {
      TestLog log(*machine, options);
      const base::EpochId after{random() % (capture.epoch.value + 1)};
      SCOPED_TRACE("capture of epoch " + std::to_string(capture.epoch.value) + ", after " +
                   std::to_string(after.value));
      ASSERT_TRUE(log.Open({after, capture.bytes}));
      ASSERT_FALSE(log.error) << CodeOf(log.error);
      ASSERT_EQ(log.recovered.size(), log.sequencer->status().durable.value - after.value);
      if (!log.recovered.empty()) {
        EXPECT_EQ(log.recovered.front(), after.Next());
      }
      const auto again = log.Capture();
      ASSERT_TRUE(again) << again.error().ToString();
      EXPECT_EQ(again->epoch, expected->epoch);
      ASSERT_EQ(again->bytes, expected->bytes);
      const auto streams = StreamsOf(capture.bytes);
      ASSERT_TRUE(streams) << streams.error().ToString();
      EXPECT_EQ(streams->at(0).name, "events");
    }
  }
}

// In mode os a capture syncs what was written; epochs go on meanwhile.
TEST_F(Resume, ACaptureWhoseSyncFailsEndsTheLogInAnOrderlyWay) {
  size_t ended = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    LogOptions options = TestOptions();
    options.durability = Durability::kOs;
    SimulatedEnvironment machine(seed);
    TestLog log(machine, options);
    ASSERT_TRUE(log.Open());
    ASSERT_TRUE(log.Submit({{100, 1}}));
    machine.faults()[env::simulated::Operation::kSync].number =
        machine.operations(env::simulated::Operation::kSync) + 1 + seed % 6;
    size_t waiting = 0;
    std::set<base::EpochId> acknowledged;
    bool captured = false;
    const std::function<void()> submit = [&] {
      ++waiting;
      const std::vector<TestRow> rows(400, {100, 2});  // a segment is full soon: that syncs as well
      log.sequencer->Submit(BatchOf(log.stream, rows), [&](const TestLog::Ack& ack) {
        --waiting;
        if (ack) acknowledged.insert(ack->epoch);
        if (!captured) submit();
      });
    };
    machine.Run([&] {
      for (int sender = 0; sender < 3; ++sender) submit();
      log.sequencer->CaptureState([&](base::Result<StateCapture> taken) {
        captured = true;
        if (!taken) ++ended;
      });
    });
    ASSERT_TRUE(machine.RunUntil([&] { return captured && waiting == 0; }));
    for (const EpochRef& epoch : log.durable)
      if (epoch->id.value > 2) EXPECT_TRUE(acknowledged.contains(epoch->id)) << epoch->id.value;
    EXPECT_EQ(!log.Submit({{100, 3}}), log.sequencer->status().read_only);
  }
  EXPECT_GT(ended, 10U);
}

// A log of `epochs` epochs and a capture after the last.
std::optional<StateCapture> Extend(SimulatedEnvironment& machine, int64_t epochs) {
  TestLog log(machine);
  if (!log.Open() || log.error) return std::nullopt;
  for (int64_t i = 0; i < epochs; ++i)
    if (!log.Submit({{100, i}}, "p", log.sequencer->LastSequence(log.stream, "p") + 1))
      return std::nullopt;
  return *log.Capture();
}

TEST_F(Resume, ItSaysHowManyBytesItRead) {
  SimulatedEnvironment machine(71);
  std::vector<uint64_t> written;
  StateCapture capture;
  {
    TestLog log(machine);
    ASSERT_TRUE(log.Open());
    for (int64_t id = 1; id <= 400; ++id) {
      ASSERT_TRUE(log.Submit({{100, id}}));
      written.push_back(log.sequencer->status().bytes_written);
      if (id == 150) capture = *log.Capture();
    }
  }
  for (const ResumePoint& resume : {ResumePoint{}, ResumePoint{capture.epoch, capture.bytes}}) {
    TestLog log(machine);
    ASSERT_TRUE(log.Open(resume));
    const bool all = resume.state.empty();
    EXPECT_EQ(log.sequencer->status().bytes_replayed, written.back() - (all ? 0 : written[149]));
    EXPECT_EQ(log.sequencer->status().bytes_written, 0U);
  }
}

TEST_F(Resume, ACaptureOfAnEpochThatTheLogDoesNotHaveIsAConflict) {
  SimulatedEnvironment machine(1);
  ASSERT_TRUE(Extend(machine, 4));
  std::map<std::string, std::vector<uint8_t>> copy;
  for (const std::string& path : SegmentsOf(machine)) copy[path] = *machine.files().ReadAll(path);
  copy["data/DURABLE"] = *machine.files().ReadAll("data/DURABLE");
  const auto capture = Extend(machine, 10);
  ASSERT_TRUE(capture);
  const auto restore = [&] {
    for (const auto& [path, bytes] : copy) {
      auto file = *machine.files().OpenForWriting(path, env::Files::Open::kExisting);
      std::vector<uint8_t> whole = bytes;
      whole.resize((*machine.files().OpenForReading(path))->size(), 0);
      ASSERT_TRUE(file->WriteAt(0, whole));
      ASSERT_TRUE(file->Sync());
    }
  };
  restore();
  TestLog older(machine);
  ASSERT_TRUE(older.Open({{2}, capture->bytes}));
  ASSERT_TRUE(older.error);
  EXPECT_EQ(older.error->code(), ErrorCode::kConflict);
  EXPECT_NE(older.error->message().find("epoch 15"), std::string::npos) << CodeOf(older.error);
  EXPECT_NE(older.error->message().find("epoch 5"), std::string::npos) << CodeOf(older.error);

  // It goes on from there, past the captured epoch: the same number, and another epoch.
  ASSERT_TRUE(Extend(machine, 12));
  for (const uint64_t after : {0, 3, 15}) {
    TestLog other(machine);
    ASSERT_TRUE(other.Open({{after}, capture->bytes}));
    ASSERT_TRUE(other.error);
    EXPECT_EQ(other.error->code(), ErrorCode::kConflict) << CodeOf(other.error);
  }
  TestLog from_the_start(machine);
  ASSERT_TRUE(from_the_start.Open());
  EXPECT_FALSE(from_the_start.error) << CodeOf(from_the_start.error);
}

TEST_F(Resume, DamageBehindTheResumePointIsFound) {
  SimulatedEnvironment machine(3);
  const auto early = Extend(machine, 200);
  ASSERT_TRUE(early);
  const auto late = Extend(machine, 200);
  ASSERT_TRUE(late);
  const auto segments = SegmentsOf(machine);
  ASSERT_GE(segments.size(), 4U);
  const auto open = [&](base::EpochId after, const StateCapture& state) {
    TestLog log(machine);
    EXPECT_TRUE(log.Open({after, state.bytes}));
    return log.error ? std::optional(log.error->code()) : std::nullopt;
  };
  machine.disk().FlipBit(segments[segments.size() - 2], 5'000, 1);
  EXPECT_EQ(open(early->epoch, *early), ErrorCode::kCorruption);
  EXPECT_EQ(open(late->epoch, *late), std::nullopt) << "what is not needed is not read";
  EXPECT_EQ(open({}, *late), ErrorCode::kCorruption);
}

TEST_F(Resume, ACaptureIsChargedAsLongAsItIsThere) {
  SimulatedEnvironment machine(5);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  const auto submit_keys = [&](int64_t first, int64_t end) {
    for (int64_t id = first; id < end; ++id) {
      columns::EventBatch batch = BatchOf(log.stream, {{100, id}});
      batch.source.idempotency_key = std::to_string(id) + std::string(200, 'k');
      ASSERT_TRUE(log.Submit(std::move(batch)));
    }
  };
  submit_keys(0, 10'000);
  const auto take = [&] {
    base::Result<StateCapture> taken = base::Fail(ErrorCode::kInternal, "no answer");
    machine.Run([&] {
      log.sequencer->CaptureState(
          [&](base::Result<StateCapture> capture) { taken = std::move(capture); });
    });
    EXPECT_TRUE(machine.RunUntilIdle());
    return taken;
  };
  const uint64_t used_bytes = log.budget_.used_bytes(base::MemoryAccount::kLog);
  auto taken = take();
  ASSERT_TRUE(taken);
  EXPECT_GT(taken->bytes.size(), 2U << 20);
  EXPECT_GE(log.budget_.used_bytes(base::MemoryAccount::kLog), used_bytes + taken->bytes.size());
  taken = base::Fail(ErrorCode::kInternal, "gone");
  EXPECT_EQ(log.budget_.used_bytes(base::MemoryAccount::kLog), used_bytes);

  const uint64_t sixteenth = log.budget_.limit_bytes() / 16;  // kept for answers
  const auto others = log.budget_.TryCharge(
      base::MemoryAccount::kTables,
      log.budget_.limit_bytes() - sixteenth - log.budget_.used_bytes() - (2U << 20));
  ASSERT_TRUE(others);
  const uint64_t full_bytes = log.budget_.used_bytes();
  taken = take();
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code(), ErrorCode::kResourceExhausted);
  EXPECT_EQ(log.budget_.used_bytes(), full_bytes);
}

TEST_F(Resume, WhatCannotBeCapturedIsRefused) {
  SimulatedEnvironment machine(4);
  TestLog log(machine, SmallOptions());
  ASSERT_TRUE(log.Open());
  ASSERT_TRUE(log.Submit({{100, 1}}, "p", 1));
  int refused = 0;
  int taken = 0;
  machine.Run([&] {
    for (int i = 0; i < 3; ++i)
      log.sequencer->CaptureState([&](const base::Result<StateCapture>& capture) {
        if (capture) ++taken;
        if (!capture && capture.error().code() == ErrorCode::kResourceExhausted) ++refused;
      });
  });
  ASSERT_TRUE(machine.RunUntilIdle());
  EXPECT_EQ(taken, 1);
  EXPECT_EQ(refused, 2);
  log.sequencer->Stop();
  EXPECT_EQ(log.Capture().error().code(), ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace headrace::log
