#include "log/log_survey.h"

#include <gtest/gtest.h>

#include "base/log.h"
#include "log/log_fixture.h"
#include "log/log_folder.h"

namespace headrace::log {
namespace {

using base::ErrorCode;
using env::simulated::SimulatedEnvironment;

class Survey : public testing::Test {
 protected:
  void SetUp() override {
    base::SetLogSink([](const base::LogLine&) {});
  }
  void TearDown() override { base::SetLogSink({}); }

  static constexpr int64_t kLateRow = 7;

  // Several segments, the first ones let go, with refused rows and definitions; `held` keeps it
  // open.
  static std::unique_ptr<TestLog> MakeLog(SimulatedEnvironment& machine) {
    LogOptions options = TestOptions();
    options.segment_bytes = 16 << 10;
    auto log = std::make_unique<TestLog>(machine, options);
    EXPECT_TRUE(log->Open());
    for (int64_t id = 1; id <= 120; ++id) {
      EXPECT_TRUE(log->Submit({{1'000, id}, {id % 9 == 5 ? kLateRow : 1'000, -id}}, "p",
                              static_cast<uint64_t>(id)));
      if (id % 40 != 1) continue;
      EXPECT_TRUE(log->Append({ControlEntry::Kind::kDefinition, "d" + std::to_string(id), {}}));
    }
    log->sequencer->Retain({60});
    EXPECT_TRUE(machine.RunUntilIdle());
    return log;
  }
};

TEST_F(Survey, BesideARunningEngineItCountsWhatTheLogHoldsAndFindsNoDamage) {
  SimulatedEnvironment machine(1);
  const auto log = MakeLog(machine);
  uint64_t told = 0;
  const auto survey = SurveyLog(machine, "data", [&](uint64_t done, uint64_t all) {
    EXPECT_LE(told, done);
    EXPECT_LE(done, all);
    told = done;
  });
  ASSERT_TRUE(survey) << survey.error().ToString();
  for (const Damage& damage : survey->damages) ADD_FAILURE() << damage.path << ": " << damage.what;
  const LogStatus status = log->sequencer->status();
  EXPECT_EQ(survey->log, status.log);
  EXPECT_EQ(survey->last, status.durable);
  EXPECT_EQ(survey->durable, status.durable);
  EXPECT_EQ(survey->first, status.first);
  EXPECT_GT(survey->first.value, 1U);
  EXPECT_EQ(survey->segments.size(), status.segments);
  uint64_t bytes = 0;
  uint64_t refused = 0;
  uint64_t controls = 0;
  for (const SurveyedFile& file : survey->segments) bytes += file.bytes;
  for (const auto* files : {&survey->segments, &survey->residues})
    for (const SurveyedFile& file : *files) {
      refused += file.refused;
      controls += file.controls;
    }
  EXPECT_EQ(bytes, status.log_bytes);
  EXPECT_EQ(refused, status.rows_refused);
  EXPECT_EQ(controls, 4U);  // a stream, three definitions
  ASSERT_EQ(survey->streams.size(), 1U);
  EXPECT_EQ(survey->streams[0].name, "events");
}

TEST_F(Survey, ItFindsEveryFlippedBitWithFileAndOffset) {
  SimulatedEnvironment machine(2);
  MakeLog(machine)->sequencer->Stop();
  const auto clean = SurveyLog(machine, "data", {});
  ASSERT_TRUE(clean && clean->damages.empty());
  std::vector<SurveyedFile> files = clean->segments;
  files.insert(files.end(), clean->residues.begin(), clean->residues.end());
  std::mt19937_64 random(9);
  for (int i = 0; i < 400; ++i) {
    const SurveyedFile& file = files[random() % files.size()];
    const uint64_t offset = random() % file.bytes;
    const int bit = static_cast<int>(random() % 8);
    SCOPED_TRACE(file.path + " at " + std::to_string(offset));
    machine.disk().FlipBit(file.path, offset, bit);
    const auto survey = SurveyLog(machine, "data", {});
    ASSERT_TRUE(survey) << survey.error().ToString();
    ASSERT_FALSE(survey->damages.empty());
    EXPECT_EQ(survey->damages[0].path, file.path);
    EXPECT_LE(survey->damages[0].offset, offset);
    machine.disk().FlipBit(file.path, offset, bit);
  }
  for (const uint64_t flipped : {3, 12, 19, 31}) {
    machine.disk().FlipBit("data/DURABLE", flipped, 1);
    EXPECT_EQ(SurveyLog(machine, "data", {})->damages.at(0).path, "data/DURABLE");
    machine.disk().FlipBit("data/DURABLE", flipped, 1);
  }
  ASSERT_TRUE(machine.files().Remove(clean->segments[1].path));
  EXPECT_FALSE(SurveyLog(machine, "data", {})->damages.empty());
}

// What tells of it: the mark, or what stays of the epochs that were let go.
TEST_F(Survey, ItSaysThatAllSegmentsAreGone) {
  for (const char* goes_too : {"", "data/DURABLE"}) {
    SCOPED_TRACE(goes_too);
    SimulatedEnvironment machine(5);
    MakeLog(machine)->sequencer->Stop();
    for (const std::string& segment : SegmentsOf(machine))
      ASSERT_TRUE(machine.files().Remove(segment));
    if (*goes_too != '\0') ASSERT_TRUE(machine.files().Remove(goes_too));
    const auto survey = SurveyLog(machine, "data", {});
    ASSERT_TRUE(survey);
    ASSERT_EQ(survey->damages.size(), 1U);
    EXPECT_EQ(survey->damages[0].what, "the log's segments are gone");
    TestLog log(machine);
    ASSERT_TRUE(log.Open());
    EXPECT_TRUE(log.error);
  }
}

// After a power cut its mark may be ahead of what is on the disk, and a start goes on without it.
TEST_F(Survey, ALogOfModeOsMayLackItsEnd) {
  LogOptions options = TestOptions();
  options.durability = Durability::kOs;
  size_t ahead = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SimulatedEnvironment machine(seed);
    TestLog log(machine, options);
    ASSERT_TRUE(log.Open());
    for (int64_t id = 1; id <= 50; ++id) ASSERT_TRUE(log.Submit({{100, id}}));
    machine.Crash();
    log.sequencer.reset();
    const auto rebooted = machine.Reboot(seed + 100);
    const auto survey = SurveyLog(*rebooted, "data", {});
    ASSERT_TRUE(survey);
    ahead += survey->durable > survey->last ? 1 : 0;
    for (const Damage& damage : survey->damages)
      ADD_FAILURE() << seed << ": " << damage.path << ": " << damage.what;
    TestLog again(*rebooted, options);
    ASSERT_TRUE(again.Open());
    EXPECT_FALSE(again.error);
  }
  EXPECT_GT(ahead, 5U);
}

// What a reader sees of a log.
std::vector<int64_t> IdsFrom(SimulatedEnvironment& machine, const std::string& folder) {
  std::vector<int64_t> ids;
  const auto reader = *LogReader::Open(machine, folder);
  EXPECT_TRUE(reader->Scan(*reader->First(), {1ULL << 39}, [&](const EpochRef& epoch) {
    for (const int64_t id : IdsOf(*epoch)) ids.push_back(id);
    return base::Result<void>();
  }));
  return ids;
}

TEST_F(Survey, AForkIsTheSameEpochsUnderAnotherId) {
  SimulatedEnvironment machine(3);
  auto log = MakeLog(machine);
  const auto capture = *log->Capture();
  const auto forked = ForkLog(machine, "data", "copy", std::nullopt, {});
  ASSERT_TRUE(forked) << forked.error().ToString();
  EXPECT_NE(forked->log, log->sequencer->status().log);
  EXPECT_EQ(forked->last, log->sequencer->status().durable);
  EXPECT_EQ(IdsFrom(machine, "copy"), IdsFrom(machine, "data"));
  const auto survey = SurveyLog(machine, "copy", {});
  ASSERT_TRUE(survey);
  EXPECT_TRUE(survey->damages.empty());
  EXPECT_EQ(ForkLog(machine, "data", "copy", std::nullopt, {}).error().code(),
            ErrorCode::kAlreadyExists);
  EXPECT_EQ(ForkLog(machine, "data", "copy2", base::EpochId{3}, {}).error().code(),
            ErrorCode::kFailedPrecondition);
  // A snapshot of the original is none of the copy.
  TestLog copy(machine, TestOptions(), "copy");
  ASSERT_TRUE(copy.Open({capture.epoch, capture.bytes}));
  ASSERT_TRUE(copy.error);
  EXPECT_EQ(copy.error->code(), ErrorCode::kConflict);
}

TEST_F(Survey, AForkOfAWholeLogGoesOnFromItsEpoch) {
  SimulatedEnvironment machine(4);
  {
    TestLog log(machine);
    ASSERT_TRUE(log.Open());
    for (int64_t id = 1; id <= 50; ++id)
      ASSERT_TRUE(log.Submit({{1'000, id}}, "p", static_cast<uint64_t>(id)));
  }
  const auto forked = ForkLog(machine, "data", "copy", base::EpochId{21}, {});
  ASSERT_TRUE(forked) << forked.error().ToString();
  TestLog copy(machine, TestOptions(), "copy");
  ASSERT_TRUE(copy.Open());
  ASSERT_FALSE(copy.error) << copy.error->ToString();
  EXPECT_EQ(copy.recovered_ids.size(), 20U);
  EXPECT_EQ(copy.sequencer->LastSequence(copy.stream, "p"), 20U);
  const auto again = copy.Submit({{1'000, 20}}, "p", 20);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->repeat, Acknowledgement::Repeat::kRepeated);
  ASSERT_TRUE(copy.Submit({{1'000, 21}}, "p", 21));
  EXPECT_EQ(ReadIds(machine, "data")->size(), 50U) << "the original is as it was";
}

}  // namespace
}  // namespace headrace::log
