#include "log/recovery.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "base/log.h"
#include "log/log_fixture.h"
#include "log/log_folder.h"
#include "log/log_survey.h"
#include "log/segment_cursor.h"

namespace headrace::log {
namespace {

using base::ErrorCode;
using env::simulated::Faults;
using env::simulated::SimulatedEnvironment;

// Keeps expected warnings and errors out of the test's output.
class Recovery : public testing::Test {
 protected:
  void SetUp() override {
    base::SetLogSink([this](const base::LogLine& line) { told_.push_back(line.event); });
  }
  void TearDown() override { base::SetLogSink({}); }

  std::vector<std::string> told_;  // the events of what was logged
};

std::string ContextOf(const base::Error& error, std::string_view name) {
  for (const auto& [key, value] : error.context())
    if (key == name) return value;
  return "";
}

// A cleanly closed log of `epochs` one-row epochs with ids 1, 2, 3 ...
std::unique_ptr<SimulatedEnvironment> LogOf(int64_t epochs, uint64_t seed) {
  auto machine = std::make_unique<SimulatedEnvironment>(seed);
  TestLog log(*machine);
  EXPECT_TRUE(log.Open());
  for (int64_t id = 1; id <= epochs; ++id)
    EXPECT_TRUE(log.Submit({{100, id}}, "p", static_cast<uint64_t>(id)));
  log.sequencer.reset();
  return machine->Reboot(seed + 1);
}

// Where the records of the first segment begin.
std::vector<uint64_t> RecordOffsets(SimulatedEnvironment& machine) {
  auto cursor = *SegmentCursor::Open(machine.files(), SegmentsOf(machine).at(0),
                                     *ReadLogId(machine.files(), "data"));
  std::vector<uint64_t> offsets;
  while (true) {
    const auto record = cursor.Next();
    if (!record || !*record) return offsets;
    offsets.push_back((*record)->offset);
  }
}

// Of the first segment.
uint64_t EndOfRecords(SimulatedEnvironment& machine) {
  auto cursor =
      *SegmentCursor::Open(machine.files(), SegmentsOf(machine).at(0),
                           *ReadLogId(machine.files(), "data"), RecordOffsets(machine).back());
  EXPECT_TRUE(*cursor.Next());
  return cursor.offset();
}

// Whole, with its checksum right, but of another history.
TEST_F(Recovery, ARecordThatDoesNotFollowTheOneBeforeItIsDamage) {
  const auto machine = LogOf(6, 41);
  const auto offsets = RecordOffsets(*machine);
  const auto file = machine->disk().Find(SegmentsOf(*machine).at(0));
  const auto begin = file->bytes().begin();
  std::vector<uint8_t> record(begin + static_cast<ptrdiff_t>(offsets[3]),
                              begin + static_cast<ptrdiff_t>(offsets[4]));
  RecordHeader header = *ParseRecordHeader(record);
  header.previous_checksum ^= 1;
  record.resize(kRecordHeaderBytes + header.payload_bytes);
  SealRecord(header, record);
  file->Write(offsets[3], record);
  TestLog log(*machine);
  log.Open();
  ASSERT_TRUE(log.error.has_value());
  EXPECT_EQ(log.error->code(), ErrorCode::kCorruption);
  EXPECT_EQ(ContextOf(*log.error, "offset"), std::to_string(offsets[3]));
}

TEST_F(Recovery, ATornTailIsZeroedSoThatItsRemainsNeverCountAgain) {
  // Crash while a long record is unsynced, reopen, write short ones over it until the segment is
  // full, crash again: all that was acknowledged must be there, and the remains of the torn record
  // must not look like damage.
  bool some_torn = false;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedEnvironment first(seed, Faults{.crash_point = "log.after_write", .crash_hit = 3});
    TestLog log(first);
    ASSERT_TRUE(log.Open());
    ASSERT_TRUE(log.Submit({{100, 1}}));
    ASSERT_FALSE(log.Submit(std::vector<TestRow>(1'000, {100, 2})));
    ASSERT_TRUE(first.crashed());
    log.sequencer.reset();

    const auto second = first.Reboot(seed + 1000);
    TestLog reopened(*second);
    ASSERT_TRUE(reopened.Open());
    ASSERT_TRUE(reopened.sequencer) << reopened.error->ToString();
    const int64_t torn_rows = std::ranges::count(reopened.recovered_ids, 2);
    EXPECT_TRUE(torn_rows == 0 || torn_rows == 1'000) << torn_rows;
    some_torn = some_torn || torn_rows == 0;
    int64_t id = 3;
    for (; SegmentsOf(*second).size() < 2; ++id)
      ASSERT_TRUE(reopened.Submit(std::vector<TestRow>(id % 7 == 0 ? 200 : 1, {100, id})));
    second->Crash();
    reopened.sequencer.reset();

    const auto third = second->Reboot(seed + 2000);
    TestLog last(*third);
    ASSERT_TRUE(last.Open());
    ASSERT_TRUE(last.sequencer) << last.error->ToString();
    ASSERT_FALSE(last.recovered_ids.empty());
    EXPECT_EQ(last.recovered_ids.front(), 1);
    EXPECT_EQ(last.recovered_ids.back(), id - 1);
    EXPECT_EQ(std::ranges::count(last.recovered_ids, 2), torn_rows);
  }
  EXPECT_TRUE(some_torn);
}

TEST_F(Recovery, ABitFlippedInTheMiddleIsRefusedWithFileAndOffset) {
  for (const uint64_t flipped : {0, 5, 20, 40, 63, 64, 300, 511}) {
    SCOPED_TRACE(flipped);
    const auto machine = LogOf(6, 77);
    const std::string segment = SegmentsOf(*machine).at(0);
    const uint64_t record = RecordOffsets(*machine).at(3);
    machine->disk().FlipBit(segment, record + flipped, 3);
    TestLog log(*machine);
    ASSERT_TRUE(log.Open());
    ASSERT_TRUE(log.error);
    EXPECT_EQ(log.error->code(), ErrorCode::kCorruption);
    EXPECT_EQ(ContextOf(*log.error, "file"), segment);
    EXPECT_EQ(ContextOf(*log.error, "offset"), std::to_string(record));
    const auto read = ReadIds(*machine);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code(), ErrorCode::kCorruption);
    EXPECT_EQ(ContextOf(read.error(), "file"), segment);
  }
}

// Whatever became of the header, the records behind it say that it was one.
TEST_F(Recovery, EveryBitOfAHeaderIsGuardedWithoutTheMark) {
  for (uint64_t bit = 0; bit < kRecordHeaderBytes * 8; ++bit) {
    SCOPED_TRACE(bit);
    const auto machine = LogOf(6, 79);
    ASSERT_TRUE(machine->files().Remove("data/DURABLE"));
    const std::string segment = SegmentsOf(*machine).at(0);
    const uint64_t record = RecordOffsets(*machine).at(3);
    machine->disk().FlipBit(segment, record + bit / 8, static_cast<int>(bit % 8));
    TestLog log(*machine);
    ASSERT_TRUE(log.Open());
    ASSERT_TRUE(log.error);
    EXPECT_EQ(log.error->code(), ErrorCode::kCorruption);
  }
}

// A text that holds a whole record, at every place where a reader may look for one.
std::string TextWithRecord(const RecordHeader& header) {
  std::vector<uint8_t> record(kRecordHeaderBytes);
  SealRecord(header, record);
  std::string text;
  for (size_t i = 0; i < kRecordAlignment; ++i) {
    text.append(record.begin(), record.end());
    text += ' ';
  }
  return text;
}

columns::EventBatch BatchWithText(base::StreamId stream, const std::string& text) {
  columns::BatchBuilder builder(TestSchema());
  builder.column(0).AppendInt(100'000'000);
  builder.column(1).AppendInt(2);
  builder.column(2).AppendText(text);
  columns::EventBatch batch;
  batch.stream = stream;
  batch.rows = builder.Finish();
  return batch;
}

// Whoever sends rows may put anything into them. A record that is half there stays a torn one.
TEST_F(Recovery, ARecordInsideOfATornOneProvesNothing) {
  for (const bool of_another_log : {false, true}) {
    SCOPED_TRACE(of_another_log);
    SimulatedEnvironment first(81);
    {
      TestLog log(first);
      ASSERT_TRUE(log.Open());
      ASSERT_TRUE(log.Submit({{100, 1}}));
      RecordHeader header{.epoch = {1'000}, .log = log.sequencer->status().log};
      if (of_another_log) header.log.bytes[3] ^= 1;
      ASSERT_TRUE(log.Submit(BatchWithText(log.stream, TextWithRecord(header))));
    }
    // Killed while it was written: its second half is missing, and no mark tells of it.
    const auto machine = first.Reboot(82);
    ASSERT_TRUE(machine->files().Remove("data/DURABLE"));
    const auto file = machine->disk().Find(SegmentsOf(*machine).back());
    const uint64_t half = 200 << 10;
    file->Write(half, std::vector<uint8_t>(file->size() - half, 0));
    file->Settle();
    const auto reader = *LogReader::Open(*machine, "data");
    const auto newest = reader->Newest();
    EXPECT_TRUE(newest) << newest.error().ToString();
    const auto survey = SurveyLog(*machine, "data", {});
    ASSERT_TRUE(survey);
    EXPECT_TRUE(survey->damages.empty()) << survey->damages[0].what;
    EXPECT_GT(survey->torn_bytes, 0U);
    TestLog log(*machine);
    ASSERT_TRUE(log.Open());
    ASSERT_FALSE(log.error) << log.error->ToString();
    EXPECT_EQ(log.recovered_ids, (std::vector<int64_t>{1}));
  }
}

// It looks like a torn write, and was acknowledged: the durable mark tells.
TEST_F(Recovery, ADamagedLastRecordThatWasDurableIsRefused) {
  for (const uint64_t flipped : {0, 20, 64, 300, 511}) {
    SCOPED_TRACE(flipped);
    const auto machine = LogOf(6, 78);
    const std::string segment = SegmentsOf(*machine).at(0);
    const uint64_t record = RecordOffsets(*machine).back();
    machine->disk().FlipBit(segment, record + flipped, 3);
    const auto before = *machine->files().ReadAll(segment);
    TestLog log(*machine);
    ASSERT_TRUE(log.Open());
    ASSERT_TRUE(log.error);
    EXPECT_EQ(log.error->code(), ErrorCode::kCorruption);
    EXPECT_EQ(ContextOf(*log.error, "file"), segment);
    EXPECT_EQ(ContextOf(*log.error, "offset"), std::to_string(record));
    EXPECT_EQ(*machine->files().ReadAll(segment), before) << "nothing is changed";
    const auto read = ReadIds(*machine);
    ASSERT_FALSE(read) << "a reader beside no engine does not leave it out in silence";
    EXPECT_EQ(read.error().code(), ErrorCode::kCorruption);
    EXPECT_EQ(ContextOf(read.error(), "file"), segment);
    // Without the mark it is taken for a write that the crash tore.
    ASSERT_TRUE(machine->files().Remove("data/DURABLE"));
    TestLog torn(*machine);
    ASSERT_TRUE(torn.Open());
    EXPECT_FALSE(torn.error);
  }
}

TEST_F(Recovery, EveryBitOfTheRecordsOfASealedSegmentIsGuarded) {
  const auto clean = LogOf(150, 99);
  const auto segments = SegmentsOf(*clean);
  ASSERT_GE(segments.size(), 2U);
  const uint64_t end = EndOfRecords(*clean);
  std::mt19937_64 random(5);
  for (int i = 0; i < 300; ++i) {
    const uint64_t offset = random() % end;
    const int bit = static_cast<int>(random() % 8);
    SCOPED_TRACE(offset);
    clean->disk().FlipBit(segments[0], offset, bit);
    TestLog log(*clean);
    ASSERT_TRUE(log.Open());
    ASSERT_TRUE(log.error);
    EXPECT_EQ(log.error->code(), ErrorCode::kCorruption);
    clean->disk().FlipBit(segments[0], offset, bit);
  }
  TestLog log(*clean);
  ASSERT_TRUE(log.Open());
  EXPECT_FALSE(log.error);
}

// The next segment goes on with the very next epoch, so that no row can have been there.
TEST_F(Recovery, WhatIsNotZeroBehindTheRecordsOfASealedSegmentIsReportedAndKept) {
  const auto machine = LogOf(150, 99);
  const std::string segment = SegmentsOf(*machine).at(0);
  const uint64_t end = EndOfRecords(*machine);
  const uint64_t size = machine->disk().Find(segment)->size();
  ASSERT_LT(end, size);
  for (const uint64_t offset : {end, size - 1}) {
    SCOPED_TRACE(offset);
    machine->disk().FlipBit(segment, offset, 5);
    const auto before = *machine->files().ReadAll(segment);
    const auto survey = SurveyLog(*machine, "data", {});
    ASSERT_TRUE(survey);
    EXPECT_TRUE(survey->damages.empty());
    ASSERT_EQ(survey->strays.size(), 1U);
    EXPECT_EQ(survey->strays[0].path, segment);
    EXPECT_EQ(survey->strays[0].offset, end);
    {
      TestLog log(*machine);
      ASSERT_TRUE(log.Open());
      ASSERT_FALSE(log.error) << log.error->ToString();
      EXPECT_EQ(log.recovered_ids.size(), 150U);
      EXPECT_EQ(std::ranges::count(told_, "log.not_blank_behind_records"), 1);
    }
    EXPECT_EQ(*machine->files().ReadAll(segment), before);
    machine->disk().FlipBit(segment, offset, 5);
    told_.clear();
  }
}

// A whole record of a later epoch says that one was there, whatever the segments' names say.
TEST_F(Recovery, ARecordBehindTheRecordsOfASealedSegmentIsDamage) {
  const auto machine = LogOf(150, 99);
  const std::string segment = SegmentsOf(*machine).at(0);
  const uint64_t end = EndOfRecords(*machine);
  RecordHeader header{.epoch = {1'000}, .log = *ReadLogId(machine->files(), "data")};
  std::vector<uint8_t> record(kRecordAlignment);
  SealRecord(header, record);
  machine->disk().Find(segment)->Write(end, record);
  TestLog log(*machine);
  ASSERT_TRUE(log.Open());
  ASSERT_TRUE(log.error);
  EXPECT_EQ(log.error->code(), ErrorCode::kCorruption);
  EXPECT_EQ(ContextOf(*log.error, "offset"), std::to_string(end));
}

TEST_F(Recovery, AMissingSegmentIsRefused) {
  const auto machine = LogOf(300, 31);
  const auto segments = SegmentsOf(*machine);
  ASSERT_GE(segments.size(), 3U);
  ASSERT_TRUE(machine->files().Remove(segments[1]));
  TestLog log(*machine);
  ASSERT_TRUE(log.Open());
  ASSERT_TRUE(log.error);
  EXPECT_EQ(log.error->code(), ErrorCode::kCorruption);
  EXPECT_EQ(ReadIds(*machine).error().code(), ErrorCode::kCorruption);
}

TEST_F(Recovery, ADamagedOrLostIdIsRefused) {
  const auto machine = LogOf(2, 41);
  machine->disk().FlipBit("data/LOG", 20, 1);
  TestLog damaged(*machine);
  ASSERT_TRUE(damaged.Open());
  EXPECT_EQ(damaged.error->code(), ErrorCode::kCorruption);
  ASSERT_TRUE(machine->files().Remove("data/LOG"));
  TestLog lost(*machine);
  ASSERT_TRUE(lost.Open());
  EXPECT_EQ(lost.error->code(), ErrorCode::kCorruption);
}

TEST_F(Recovery, ASegmentOfAnotherLogIsRefused) {
  const auto machine = LogOf(3, 51);
  const auto other = LogOf(3, 61);
  const std::string segment = SegmentsOf(*machine).at(0);
  const auto bytes = *other->files().ReadAll(SegmentsOf(*other).at(0));
  auto file = *machine->files().OpenForWriting(segment, env::Files::Open::kExisting);
  ASSERT_TRUE(file->WriteAt(0, bytes));
  TestLog log(*machine);
  ASSERT_TRUE(log.Open());
  ASSERT_TRUE(log.error);
  EXPECT_EQ(log.error->code(), ErrorCode::kCorruption);
  EXPECT_EQ(*machine->files().ReadAll(segment), bytes) << "nothing is destroyed";
}

TEST_F(Recovery, NoSyncThatFailedIsBelieved) {
  // Every sync in turn fails once. What was acknowledged must be there after a power cut; the
  // failing epoch must not be acknowledged, nor anything after it in that life.
  uint64_t syncs = 0;
  for (uint64_t failing = 1; failing == 1 || failing <= syncs; ++failing) {
    SCOPED_TRACE(failing);
    SimulatedEnvironment machine(failing, Faults{.fail_sync_number = failing});
    TestLog log(machine);
    std::vector<int64_t> acknowledged;
    bool failed = false;
    ASSERT_TRUE(log.Open());
    for (int64_t id = 1; id <= 200 && log.sequencer; ++id) {
      const auto answer = log.Submit(std::vector<TestRow>(10, {100, id}), "p",
                                     static_cast<uint64_t>(acknowledged.size() + 1));
      if (answer) {
        EXPECT_FALSE(failed) << "acknowledged after a failed sync";
        acknowledged.push_back(id);
      } else {
        // A segment that can't be prepared is no doubt about rows: that may be retried. A failed
        // sync of rows is final.
        if (log.sequencer->status().read_only) failed = true;
        EXPECT_EQ(answer.error().code(), ErrorCode::kIoError);
      }
    }
    if (failing == 1) syncs = 40;
    machine.Crash();
    log.sequencer.reset();
    const auto rebooted = machine.Reboot(failing + 500);
    TestLog reopened(*rebooted);
    ASSERT_TRUE(reopened.Open());
    ASSERT_FALSE(reopened.error) << reopened.error->ToString();
    std::vector<int64_t> found;
    for (size_t i = 0; i < reopened.recovered_ids.size(); i += 10)
      found.push_back(reopened.recovered_ids[i]);
    ASSERT_GE(found.size(), acknowledged.size());
    EXPECT_LE(found.size(), acknowledged.size() + 1);
    EXPECT_TRUE(std::equal(acknowledged.begin(), acknowledged.end(), found.begin()));
  }
}

// Names as well: of the folder, of LOG, of each segment. The engine ends, starts again on the same
// machine, where all of them are to be seen, and goes on.
TEST_F(Recovery, NoFolderSyncThatFailedIsBelieved) {
  using env::simulated::Operation;
  int failed = 0;
  for (uint64_t number = 1; number <= 40; ++number) {
    SCOPED_TRACE(number);
    SimulatedEnvironment machine(number);
    machine.faults()[Operation::kSyncFolder].number = number;
    int64_t acknowledged = 0;
    const auto submit = [&](TestLog& log) {
      for (int i = 0; i < 5; ++i) {
        const int64_t id = acknowledged + 1;
        if (!log.Submit(std::vector<TestRow>(100, {100, id}), "p", static_cast<uint64_t>(id)))
          return;
        acknowledged = id;
      }
    };
    {
      TestLog log(machine);
      ASSERT_TRUE(log.Open());
      while (log.sequencer && SegmentsOf(machine).size() < 4) {
        const int64_t before = acknowledged;
        submit(log);
        if (acknowledged == before) break;
      }
      if (log.error || log.sequencer->status().read_only) ++failed;
    }
    machine.faults() = {};
    {
      TestLog again(machine);
      ASSERT_TRUE(again.Open());
      ASSERT_TRUE(again.sequencer) << again.error->ToString();
      acknowledged = again.recovered_ids.empty() ? 0 : again.recovered_ids.back();
      submit(again);
      machine.Crash();
    }
    const auto rebooted = machine.Reboot(number + 500);
    TestLog last(*rebooted);
    ASSERT_TRUE(last.Open());
    ASSERT_TRUE(last.sequencer) << last.error->ToString();
    ASSERT_FALSE(last.recovered_ids.empty());
    EXPECT_EQ(last.recovered_ids.back(), acknowledged);
  }
  EXPECT_GE(failed, 5);
}

LogOptions OsOptions() {
  LogOptions options = TestOptions();
  options.durability = Durability::kOs;
  return options;
}

// Behind a damaged record there are only such as prove nothing; that it was synced tells the mark.
TEST_F(Recovery, InModeOsADamagedRecordThatWasSyncedIsRefused) {
  enum class Synced { kAtACleanEnd, kByACapture, kAtAStart, kBeforeModeOs };
  for (const Synced synced :
       {Synced::kAtACleanEnd, Synced::kByACapture, Synced::kAtAStart, Synced::kBeforeModeOs}) {
    SCOPED_TRACE(static_cast<int>(synced));
    SimulatedEnvironment machine(91);
    const auto write = [&machine, synced](const LogOptions& options, int64_t first, bool capture) {
      TestLog log(machine, options);
      ASSERT_TRUE(log.Open());
      for (int64_t id = first; id < first + 10; ++id) ASSERT_TRUE(log.Submit({{100, id}}));
      if (capture) ASSERT_TRUE(log.Capture());
      if (options.durability == Durability::kOs && synced != Synced::kAtACleanEnd)
        machine.Crash(env::simulated::CrashKind::kKill);
      log.sequencer.reset();
    };
    if (synced == Synced::kBeforeModeOs) write(TestOptions(), 1, false);
    write(OsOptions(), 11, synced == Synced::kByACapture);
    auto rebooted = machine.Reboot(92);
    if (synced == Synced::kAtAStart) {
      TestLog started(*rebooted, OsOptions());
      ASSERT_TRUE(started.Open());
      rebooted->Crash(env::simulated::CrashKind::kKill);
      started.sequencer.reset();
    }
    if (rebooted->crashed()) rebooted = rebooted->Reboot(93);
    rebooted->disk().FlipBit(SegmentsOf(*rebooted).at(0), RecordOffsets(*rebooted).at(4) + 70, 3);
    EXPECT_FALSE(ReadIds(*rebooted));
    TestLog log(*rebooted, OsOptions());
    ASSERT_TRUE(log.Open());
    ASSERT_TRUE(log.error);
    EXPECT_EQ(log.error->code(), ErrorCode::kCorruption);
  }
}

// Under `os` a failed sync leaves many records clean in memory and absent on disk. The process
// starts anew on the same mount, under `fsync`: what it answers for stands behind them.
TEST_F(Recovery, InModeOsNoRecordThatASyncMissedStandsBeforeDurableOnes) {
  enum class Failing { kACapture, kACleanEnd };
  for (const Failing failing : {Failing::kACapture, Failing::kACleanEnd})
    for (uint64_t seed = 0; seed < 30; ++seed) {
      SCOPED_TRACE(seed);
      SimulatedEnvironment machine(seed);
      {
        TestLog log(machine, OsOptions());
        ASSERT_TRUE(log.Open());
        for (int64_t id = 1; id <= 20; ++id) ASSERT_TRUE(log.Submit({{100, id}}));
        ASSERT_TRUE(machine.RunUntilIdle());  // the next segment is prepared
        ASSERT_EQ(SegmentsOf(machine).size(), 1U);
        machine.faults()[env::simulated::Operation::kSync].number =
            machine.operations(env::simulated::Operation::kSync) + 1;
        if (failing == Failing::kACapture) {
          (void)log.Capture();
          ASSERT_TRUE(log.sequencer->status().read_only);
          machine.Crash(env::simulated::CrashKind::kKill);
        }
        log.sequencer.reset();
        ASSERT_EQ(machine.injected().at("failed sync"), 1U);
      }
      if (!machine.crashed()) machine.Crash(env::simulated::CrashKind::kKill);
      const auto restarted = machine.Reboot(seed + 100);
      TestLog log(*restarted);
      ASSERT_TRUE(log.Open());
      ASSERT_FALSE(log.error) << log.error->ToString();
      for (int64_t id = 21; id <= 25; ++id) ASSERT_TRUE(log.Submit({{100, id}}));
      restarted->Crash();
      log.sequencer.reset();
      const auto rebooted = restarted->Reboot(seed + 200);
      TestLog last(*rebooted);
      ASSERT_TRUE(last.Open());
      ASSERT_FALSE(last.error) << last.error->ToString();
      EXPECT_EQ(last.recovered_ids.size(), 25U);
    }
}

// A power cut left the mark and no record; a start gave the segment its name anew, and was killed
// between the names.
TEST_F(Recovery, InModeOsALogWithoutARecordIsNotRefusedForItsMark) {
  SimulatedEnvironment machine(94);
  {
    TestLog log(machine, OsOptions());
    ASSERT_TRUE(log.Open());
    ASSERT_TRUE(log.Submit({{100, 1}}));
    machine.Crash(env::simulated::CrashKind::kKill);
    log.sequencer.reset();
  }
  const auto rebooted = machine.Reboot(95);
  ASSERT_TRUE(rebooted->files().Rename(SegmentsOf(*rebooted).at(0),
                                       "data/" + std::string(kNextSegmentName)));
  EXPECT_TRUE(SurveyLog(*rebooted, "data", {})->damages.empty());
  TestLog log(*rebooted, OsOptions());
  ASSERT_TRUE(log.Open());
  ASSERT_FALSE(log.error) << log.error->ToString();
  EXPECT_TRUE(log.Submit({{100, 1}}));
}

TEST_F(Recovery, InModeOsAPowerCutKeepsAPrefix) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    const LogOptions options = OsOptions();
    SimulatedEnvironment machine(seed);
    TestLog log(machine, options);
    ASSERT_TRUE(log.Open());
    for (int64_t id = 1; id <= 50; ++id) ASSERT_TRUE(log.Submit({{100, id}}));
    machine.Crash();
    log.sequencer.reset();
    const auto rebooted = machine.Reboot(seed + 100);
    TestLog reopened(*rebooted, options);
    ASSERT_TRUE(reopened.Open());
    ASSERT_FALSE(reopened.error) << reopened.error->ToString();
    for (size_t i = 0; i < reopened.recovered_ids.size(); ++i)
      EXPECT_EQ(reopened.recovered_ids[i], static_cast<int64_t>(i + 1));
  }
}

}  // namespace
}  // namespace headrace::log
