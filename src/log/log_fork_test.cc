// Forks of logs that a life left as it died: a torn tail, segments half let go. And what an engine
// finds in a fork: answers to repeats, lateness, counts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "log/log_fixture.h"
#include "log/log_survey.h"

namespace headrace::log {
namespace {

using base::EpochId;
using base::ErrorCode;
using env::simulated::CrashKind;
using env::simulated::Faults;
using env::simulated::SimulatedEnvironment;
using testing::ElementsAreArray;
using testing::IsSupersetOf;

constexpr const char* kFork = "copy";
constexpr int64_t kLateRow = 7;

class LogFork : public testing::Test {
 protected:
  void SetUp() override {
    base::SetLogSink([](const base::LogLine&) {});
  }
  void TearDown() override { base::SetLogSink({}); }
};

base::Result<ForkReport> ForkOf(SimulatedEnvironment& machine,
                                std::optional<EpochId> through = std::nullopt) {
  return ForkLog(machine, "data", kFork, through, {});
}

// As far as a reader may go.
EpochId DurableOf(SimulatedEnvironment& machine) {
  return *(*LogReader::Open(machine, "data"))->Newest();
}

std::vector<int64_t> RecoveredFrom(SimulatedEnvironment& machine, const std::string& folder) {
  TestLog log(machine, TestOptions(), folder);
  EXPECT_TRUE(log.Open());
  EXPECT_FALSE(log.error) << log.error->ToString();
  return log.recovered_ids;
}

// The mark of what was synced is behind after a power cut: the last epoch was acknowledged, and
// nothing but its being whole says so.
TEST_F(LogFork, OfATornLogHasWhatAStartWouldKeep) {
  uint64_t behind = 0;
  for (uint64_t seed = 1; seed <= 80; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const char* point = seed % 2 == 0 ? "log.after_write" : "log.after_sync";
    auto machine = std::make_unique<SimulatedEnvironment>(
        seed, Faults{.crash_point = point, .crash_hit = 5 + seed % 7});
    std::vector<int64_t> acknowledged;
    {
      TestLog log(*machine);
      ASSERT_TRUE(log.Open());
      for (int64_t id = 1; !machine->crashed(); ++id)
        if (log.Submit({{1'000, id}}, "p", static_cast<uint64_t>(id))) acknowledged.push_back(id);
    }
    machine = machine->Reboot(seed);
    behind += DurableOf(*machine) < SurveyLog(*machine, "data", {})->last;
    const auto forked = ForkOf(*machine);
    ASSERT_TRUE(forked) << forked.error().ToString();
    EXPECT_TRUE(SurveyLog(*machine, kFork, {})->damages.empty());
    const std::vector<int64_t> in_fork = RecoveredFrom(*machine, kFork);
    EXPECT_THAT(in_fork, IsSupersetOf(acknowledged));
    EXPECT_THAT(in_fork, ElementsAreArray(RecoveredFrom(*machine, "data")));
  }
  EXPECT_GT(behind, 0U) << "no log looked shorter than it is";
}

// Its last record may still be on its way to the disk.
TEST_F(LogFork, BesideAnEngineEndsWithWhatIsDurable) {
  SimulatedEnvironment machine(5);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  for (int64_t id = 1; id <= 5; ++id) ASSERT_TRUE(log.Submit({{1'000, id}}));
  bool answered = false;
  machine.Run([&] {
    log.sequencer->Submit(BatchOf(log.stream, {{1'000, 6}}), [&](const auto&) { answered = true; });
  });
  const EpochId durable = DurableOf(machine);
  machine.RunUntil([&] { return answered || durable < SurveyLog(machine, "data", {})->last; });
  ASSERT_FALSE(answered);
  const auto forked = ForkOf(machine);
  ASSERT_TRUE(forked) << forked.error().ToString();
  EXPECT_EQ(forked->last, durable);
}

// Rows, refused rows and control entries by what a survey counts.
struct Counts {
  EpochId first, last;
  uint64_t rows = 0, refused = 0, controls = 0;
  bool operator==(const Counts&) const = default;
};

Counts CountsOf(SimulatedEnvironment& machine, const std::string& folder) {
  const auto survey = SurveyLog(machine, folder, {});
  EXPECT_TRUE(survey) << survey.error().ToString();
  Counts counts{.first = survey->first, .last = survey->last};
  for (const Damage& damage : survey->damages) ADD_FAILURE() << damage.path << ": " << damage.what;
  for (const SurveyedFile& file : survey->segments) counts.rows += file.rows;
  for (const auto* files : {&survey->segments, &survey->residues})
    for (const SurveyedFile& file : *files) {
      counts.refused += file.refused;
      counts.controls += file.controls;
    }
  return counts;
}

// A life dies while it lets segments go: between a residue's name and the segments that it covers,
// or with one residue that another covers.
TEST_F(LogFork, OfALogThatDiedLettingSegmentsGo) {
  LogOptions options = TestOptions();
  options.segment_bytes = 16 << 10;
  for (const char* point :
       {"retain.before_residue", "retain.after_put", "retain.after_residue", "retain.before_remove",
        "retain.after_remove", "retain.after_folder_sync"}) {
    for (const uint64_t hit : {1, 2}) {
      for (const CrashKind kind : {CrashKind::kKill, CrashKind::kPowerCut}) {
        SCOPED_TRACE(point + std::to_string(hit) + (kind == CrashKind::kKill ? " kill" : " power"));
        auto machine = std::make_unique<SimulatedEnvironment>(
            7 + hit, Faults{.crash_point = point, .crash_hit = hit, .crash_kind = kind});
        StateCapture capture;
        {
          TestLog log(*machine, options);
          ASSERT_TRUE(log.Open());
          for (int64_t id = 1; id <= 120; ++id) {
            ASSERT_TRUE(log.Submit({{1'000, id}, {id % 9 == 5 ? kLateRow : 1'000, -id}}, "p",
                                   static_cast<uint64_t>(id)));
            if (id % 40 != 1) continue;
            ASSERT_TRUE(
                log.Append({ControlEntry::Kind::kDefinition, "d" + std::to_string(id), {}}));
          }
          capture = *log.Capture();
          for (const uint64_t needed : {40, 80, 110}) {
            if (machine->crashed()) break;
            machine->Run([&] { log.sequencer->Retain({needed}); });
            machine->RunUntilIdle();
          }
          ASSERT_TRUE(machine->crashed());
        }
        machine = machine->Reboot(9);
        const Counts original = CountsOf(*machine, "data");
        const auto forked = ForkOf(*machine);
        ASSERT_TRUE(forked) << forked.error().ToString();
        EXPECT_EQ(CountsOf(*machine, kFork), original);

        // The original goes on from its snapshot; the fork from its rows, if it has all of them.
        TestLog log(*machine, options);
        ASSERT_TRUE(log.Open({capture.epoch, capture.bytes}));
        EXPECT_FALSE(log.error) << log.error->ToString();
        TestLog fork(*machine, options, kFork);
        ASSERT_TRUE(fork.Open());
        if (original.first == EpochId{1}) {
          ASSERT_FALSE(fork.error) << fork.error->ToString();
          EXPECT_EQ(fork.sequencer->status().durable, original.last);
          fork.sequencer->Retain({60});
          machine->RunUntilIdle();
          EXPECT_GT(fork.sequencer->status().first, EpochId{1}) << "it lets its own segments go";
        } else {
          ASSERT_TRUE(fork.error);
          EXPECT_EQ(fork.error->code(), ErrorCode::kFailedPrecondition);
        }
      }
    }
  }
}

// What admission remembers goes along: repeats, refusals and how late is late.
TEST_F(LogFork, AnswersRepeatsAsTheOriginalDid) {
  auto machine = std::make_unique<SimulatedEnvironment>(11);
  const auto keyed = [](base::StreamId stream) {
    columns::EventBatch batch = BatchOf(stream, {{1'000, 70}, {kLateRow, 71}});
    batch.source.idempotency_key = "once";
    return batch;
  };
  const auto numbered = [](base::StreamId stream) {
    return BatchOf(stream, {{1'000, 80}, {kLateRow, 81}}, "p", 2);
  };
  std::optional<Acknowledgement> by_key, by_number;
  LogStatus status;
  {
    TestLog log(*machine);
    ASSERT_TRUE(log.Open());
    ASSERT_TRUE(log.Submit({{1'000, 1}}, "p", 1));
    by_key = *log.Submit(keyed(log.stream));
    by_number = *log.Submit(numbered(log.stream));
    status = log.sequencer->status();
    machine->Crash();
  }
  ASSERT_EQ(by_key->refused.size(), 1U);
  machine = machine->Reboot(12);
  const auto forked = ForkOf(*machine);
  ASSERT_TRUE(forked) << forked.error().ToString();
  TestLog fork(*machine, TestOptions(), kFork);
  ASSERT_TRUE(fork.Open());
  ASSERT_FALSE(fork.error) << fork.error->ToString();
  EXPECT_EQ(fork.sequencer->status().log, forked->log);
  EXPECT_NE(fork.sequencer->status().log, status.log);
  EXPECT_EQ(fork.sequencer->status().rows_accepted, status.rows_accepted);
  EXPECT_EQ(fork.sequencer->status().rows_refused, status.rows_refused);
  EXPECT_EQ(fork.sequencer->LastSequence(fork.stream, "p"), 2U);
  for (const auto& [batch, first] :
       {std::pair(keyed(fork.stream), *by_key), std::pair(numbered(fork.stream), *by_number)}) {
    const auto again = fork.Submit(batch);
    ASSERT_TRUE(again) << again.error().ToString();
    EXPECT_EQ(again->repeat, Acknowledgement::Repeat::kRepeated);
    EXPECT_EQ(again->epoch, first.epoch);
    EXPECT_EQ(again->accepted, first.accepted);
    ASSERT_EQ(again->refused.size(), 1U);
    EXPECT_EQ(again->refused[0].row, first.refused[0].row);
    EXPECT_EQ(again->refused[0].rule, first.refused[0].rule);
    EXPECT_EQ(again->refused[0].reason, first.refused[0].reason);
  }
  const auto late = fork.Submit({{kLateRow, 90}}, "p", 3);
  ASSERT_TRUE(late);
  EXPECT_EQ(late->refused.size(), 1U) << "the fork forgot what is late";
  // They go apart from here on.
  TestLog log(*machine);
  ASSERT_TRUE(log.Open());
  EXPECT_EQ(log.sequencer->LastSequence(log.stream, "p"), 2U);
}

// It dies before each change of the disk that it makes: what it leaves is no log, or the whole of
// it.
TEST_F(LogFork, ThatIsCutOffIsNoLog) {
  SimulatedEnvironment made(13);
  {
    TestLog log(made);
    ASSERT_TRUE(log.Open());
    for (int64_t id = 1; id <= 8; ++id) ASSERT_TRUE(log.Submit({{1'000, id}}));
    log.sequencer->Stop();
  }
  const std::vector<int64_t> all = *ReadIds(made);
  int cut_off = 0;
  for (uint64_t operation = 1;; ++operation) {
    SCOPED_TRACE("operation " + std::to_string(operation));
    auto machine = made.Copy(operation, Faults{.crash_operation = operation});
    machine->Run([&] { (void)ForkOf(*machine); });
    const bool died = machine->crashed();
    machine->Crash();
    machine = machine->Reboot(operation);
    if (const auto ids = ReadIds(*machine, kFork)) {
      EXPECT_EQ(*ids, all);
    } else {
      EXPECT_EQ(ids.error().code(), ErrorCode::kNotFound) << ids.error().ToString();
      ++cut_off;
    }
    if (!died) break;
  }
  EXPECT_GT(cut_off, 5);
}

}  // namespace
}  // namespace headrace::log
