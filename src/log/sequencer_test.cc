#include "log/sequencer.h"

#include <gtest/gtest.h>

#include <limits>

#include "log/answer_book.h"
#include "log/log_fixture.h"

namespace headrace::log {
namespace {

using base::ErrorCode;
using columns::EventBatch;
using env::simulated::SimulatedEnvironment;
using Repeat = Acknowledgement::Repeat;

TEST(Sequencer, AnswersAfterTheEpochIsDurableAndReadable) {
  SimulatedEnvironment machine(1);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  const auto answer = log.Submit({{100, 1}, {101, 2}}, "p", 1);
  ASSERT_TRUE(answer) << answer.error().ToString();
  EXPECT_EQ(answer->accepted, 2U);
  EXPECT_EQ(answer->repeat, Repeat::kFirst);
  EXPECT_EQ(log.durable.back()->id, answer->epoch);
  EXPECT_EQ(log.durable.back()->clock.us, 101'000'000);
  EXPECT_EQ(log.sequencer->status().rows_accepted, 2U);
  EXPECT_EQ(*ReadIds(machine), (std::vector<int64_t>{1, 2}));
}

TEST(Sequencer, WhatArrivesDuringASyncIsOneEpochWithOneBatchAStream) {
  SimulatedEnvironment machine(2);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  ASSERT_TRUE(machine.RunUntilIdle());
  const size_t before = log.durable.size();
  int answers = 0;
  for (int64_t id = 0; id < 40; ++id)
    log.sequencer->Submit(BatchOf(log.stream, {{100, id}}), [&](const TestLog::Ack& ack) {
      ASSERT_TRUE(ack);
      ++answers;
    });
  ASSERT_TRUE(machine.RunUntilIdle());
  EXPECT_EQ(answers, 40);
  EXPECT_LE(log.durable.size(), before + 3);
  for (const EpochRef& epoch : log.durable) EXPECT_LE(epoch->streams.size(), 1U);
  std::vector<int64_t> expected(40);
  for (size_t i = 0; i < expected.size(); ++i) expected[i] = static_cast<int64_t>(i);
  EXPECT_EQ(*ReadIds(machine), expected);
}

// A batch without rows: the source is alive. Once an epoch, and a repeat adds none.
TEST(Sequencer, ABatchWithoutRowsIsAHeartbeat) {
  SimulatedEnvironment machine(8);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  ASSERT_TRUE(log.Submit({{100, 1}}));
  const auto heartbeats = [&] {
    size_t count = 0;
    for (const EpochRef& epoch : log.durable)
      count += static_cast<size_t>(
          std::ranges::count(epoch->controls, ControlEntry::Kind::kHeartbeat, &ControlEntry::kind));
    return count;
  };
  EXPECT_EQ(heartbeats(), 0U);
  const auto answer = log.Submit({}, "p", 1);
  ASSERT_TRUE(answer) << answer.error().ToString();
  EXPECT_EQ(answer->accepted, 0U);
  ASSERT_EQ(heartbeats(), 1U);
  const Epoch& epoch = *log.durable.back();
  EXPECT_EQ(epoch.id, answer->epoch);
  EXPECT_TRUE(epoch.streams.empty());
  EXPECT_EQ(epoch.controls.back().name, "events");
  EXPECT_EQ(epoch.clock.us, 100'000'000) << "event time does not move by it";
  EXPECT_EQ(log.Submit({}, "p", 1)->repeat, Repeat::kRepeated);
  EXPECT_EQ(heartbeats(), 1U);
  const size_t before = log.durable.size();
  for (int i = 0; i < 20; ++i)
    log.sequencer->Submit(BatchOf(log.stream, {}),
                          [](const TestLog::Ack& ack) { ASSERT_TRUE(ack); });
  ASSERT_TRUE(machine.RunUntilIdle());
  EXPECT_EQ(heartbeats(), 1 + log.durable.size() - before);
  EXPECT_LE(log.durable.size(), before + 3);
}

// Batches are told where their rows stand in the stream's batch of the epoch, over a restart, too;
// refused ones have no place there.
TEST(Sequencer, AnswersSayWhereTheRowsStand) {
  SimulatedEnvironment machine(2);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  ASSERT_TRUE(machine.RunUntilIdle());
  std::vector<Acknowledgement> answers;
  const auto submit = [&](const std::vector<TestRow>& rows, uint64_t sequence) {
    log.sequencer->Submit(BatchOf(log.stream, rows, "p", sequence), [&](const TestLog::Ack& ack) {
      ASSERT_TRUE(ack);
      answers.push_back(*ack);
    });
  };
  submit({{1000, 0}}, 1);  // alone in its epoch: the others gather meanwhile
  submit({{1000, 1}, {10, 2}, {1000, 3}}, 2);
  submit({{1000, 4}}, 3);
  submit({{1000, 4}}, 3);
  submit({{1002, 5}, {1001, 6}}, 4);
  ASSERT_TRUE(machine.RunUntilIdle());
  ASSERT_EQ(answers.size(), 5U);
  for (const Acknowledgement& answer : answers) {
    const auto epoch = std::ranges::find_if(
        log.durable, [&](const EpochRef& of) { return of->id == answer.epoch; });
    ASSERT_NE(epoch, log.durable.end());
    const auto ids = IdsOf(**epoch);
    ASSERT_LE(answer.first_row + answer.accepted, ids.size());
  }
  EXPECT_EQ(answers[1].first_row, 0U);
  EXPECT_EQ(answers[2].first_row, 2U);
  EXPECT_EQ(answers[3].first_row, 2U) << "a repeat's";
  EXPECT_EQ(answers[4].first_row, 3U);
  log.sequencer.reset();

  const auto rebooted = machine.Reboot(4);
  TestLog second(*rebooted);
  ASSERT_TRUE(second.Open());
  const auto capture = second.Capture();
  ASSERT_TRUE(capture) << capture.error().ToString();
  const auto expect_same = [](TestLog& again) {
    const auto later = again.Submit(BatchOf(again.stream, {{1005, 5}, {1005, 6}}, "p", 4));
    ASSERT_TRUE(later);
    EXPECT_EQ(later->repeat, Repeat::kRepeated);
    EXPECT_EQ(later->first_row, 3U);
    EXPECT_EQ(later->first_time.us, 1'002'000'000) << "what came in, not what the repeat says";
  };
  expect_same(second);
  second.sequencer.reset();

  TestLog third(*rebooted);
  ASSERT_TRUE(third.Open({capture->epoch, capture->bytes}));
  expect_same(third);
}

TEST(Sequencer, ARepeatGetsTheFirstAnswerAlsoAfterARestart) {
  SimulatedEnvironment machine(3);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  auto batch = BatchOf(log.stream, {{1000, 1}, {10, 2}}, "p", 1);  // the second is late
  const auto first = log.Submit(batch);
  ASSERT_TRUE(first);
  ASSERT_EQ(first->refused.size(), 1U);
  EXPECT_EQ(first->refused[0].rule, "late");
  const auto again = log.Submit(batch);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->repeat, Repeat::kRepeated);
  EXPECT_EQ(again->refused, first->refused);
  EXPECT_EQ(log.sequencer->status().batches_repeated, 1U);
  log.sequencer.reset();

  const auto rebooted = machine.Reboot(4);
  TestLog second(*rebooted);
  ASSERT_TRUE(second.Open());
  EXPECT_EQ(second.sequencer->LastSequence(second.stream, "p"), 1U);
  const auto later = second.Submit(batch);
  ASSERT_TRUE(later);
  EXPECT_EQ(later->repeat, Repeat::kRepeated);
  EXPECT_EQ(later->epoch, first->epoch);
  EXPECT_EQ(later->accepted, 1U);
  EXPECT_EQ(later->refused, first->refused);
  EXPECT_EQ(*ReadIds(*rebooted), (std::vector<int64_t>{1}));
}

// The answer tells of all rows, what is kept of it of the first ones and their number; also in a
// capture.
TEST(Sequencer, ARepeatKnowsHowManyRowsWereRefused) {
  SimulatedEnvironment machine(5);
  constexpr size_t kLateRows = 3'000;
  std::vector<TestRow> rows(kLateRows + 1, TestRow{10, 2});
  rows[0] = {1000, 1};
  const auto expect_kept = [&](TestLog& log) {
    const auto again = log.Submit(rows, "p", 1);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->repeat, Repeat::kRepeated);
    EXPECT_EQ(again->refused_rows, kLateRows);
    EXPECT_EQ(again->refused.size(), kRefusedRowsKept);
  };
  std::vector<uint8_t> captured;
  base::EpochId at;
  {
    TestLog log(machine);
    ASSERT_TRUE(log.Open());
    const auto first = log.Submit(rows, "p", 1);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->refused_rows, kLateRows);
    EXPECT_EQ(first->refused.size(), kLateRows);
    expect_kept(log);
    const auto capture = log.Capture();
    ASSERT_TRUE(capture);
    captured = capture->bytes;
    at = capture->epoch;
  }
  const auto rebooted = machine.Reboot(6);
  TestLog from_log(*rebooted);
  ASSERT_TRUE(from_log.Open());
  expect_kept(from_log);
  from_log.sequencer.reset();
  TestLog from_capture(*rebooted);
  ASSERT_TRUE(from_capture.Open({at, captured}));
  expect_kept(from_capture);
}

TEST(Sequencer, ThePayloadOfALateRowHasItsJsonAsJson) {
  SimulatedEnvironment machine(31);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  columns::BatchBuilder builder(TestSchema());
  for (const int64_t at_s : {1000, 10}) {  // the second is late
    builder.column(0).AppendInt(at_s * 1'000'000);
    builder.column(1).AppendInt(at_s);
    builder.column(2).AppendText("[1, {}]");
  }
  columns::EventBatch batch;
  batch.stream = log.stream;
  batch.rows = builder.Finish();
  batch.json_columns =
      std::make_shared<const std::vector<std::string>>(std::vector<std::string>{"note"});
  ASSERT_TRUE(log.Submit(std::move(batch)));
  ASSERT_EQ(log.durable.back()->rejects.size(), 1U);
  EXPECT_EQ(log.durable.back()->rejects[0].rows[0].payload,
            R"({"at":"1970-01-01T00:00:10Z","id":10,"note":[1,{}]})");
}

TEST(Sequencer, ARepeatOfABatchStillInFlightIsAnsweredOnceDurable) {
  SimulatedEnvironment machine(5);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  std::vector<Acknowledgement> answers;
  for (int i = 0; i < 3; ++i)
    log.sequencer->Submit(BatchOf(log.stream, {{100, 7}}, "p", 1), [&](const TestLog::Ack& ack) {
      ASSERT_TRUE(ack);
      EXPECT_LE(ack->epoch, log.sequencer->status().durable);
      answers.push_back(*ack);
    });
  ASSERT_TRUE(machine.RunUntilIdle());
  ASSERT_EQ(answers.size(), 3U);
  EXPECT_EQ(answers[0].epoch, answers[2].epoch);
  EXPECT_EQ(std::ranges::count(answers, Repeat::kFirst, &Acknowledgement::repeat), 1);
  EXPECT_EQ(*ReadIds(machine), (std::vector<int64_t>{7}));
}

TEST(Sequencer, AClientThatResumesIsToldDurableSequencesOnly) {
  SimulatedEnvironment machine(50);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  ASSERT_TRUE(machine.RunUntilIdle());
  const base::EpochId before = log.sequencer->status().durable;
  log.sequencer->Submit(BatchOf(log.stream, {{100, 1}}, "p", 1), [](const TestLog::Ack&) {});
  do {
    const bool durable = log.sequencer->status().durable > before;
    EXPECT_EQ(log.sequencer->LastSequence(log.stream, "p"), durable ? 1U : 0U);
  } while (machine.Step());
  EXPECT_EQ(log.sequencer->LastSequence(log.stream, "p"), 1U);
}

TEST(Sequencer, AGapIsRefusedAndNamesWhatIsExpected) {
  SimulatedEnvironment machine(6);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  ASSERT_TRUE(log.Submit({{100, 1}}, "p", 1));
  const auto gap = log.Submit({{100, 3}}, "p", 3);
  ASSERT_FALSE(gap);
  EXPECT_EQ(gap.error().code(), ErrorCode::kInvalidInput);
  EXPECT_EQ(gap.error().context().back().second, "2");
  EXPECT_TRUE(log.Submit({{100, 2}}, "p", 2));
}

TEST(Sequencer, AnIdempotencyKeyCountsOncePerStream) {
  SimulatedEnvironment machine(7);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  auto batch = BatchOf(log.stream, {{100, 1}});
  batch.source.idempotency_key = "order-17";
  EXPECT_EQ(log.Submit(batch)->repeat, Repeat::kFirst);
  EXPECT_EQ(log.Submit(batch)->repeat, Repeat::kRepeated);
  EXPECT_EQ(*ReadIds(machine), (std::vector<int64_t>{1}));
}

// Under either clock, and when the epochs are read again after a restart.
TEST(Sequencer, AStepOfTheWallClockMakesNoKeyForgotten) {
  for (const ClockMode clock : {ClockMode::kEvents, ClockMode::kWall}) {
    auto machine = std::make_unique<SimulatedEnvironment>(1);
    LogOptions options = TestOptions();
    options.clock = clock;
    const auto submit = [](TestLog& log, const std::string& key) {
      EventBatch batch = BatchOf(log.stream, {{100, 1}});
      batch.source.idempotency_key = key;
      return log.Submit(std::move(batch));
    };
    {
      TestLog log(*machine, options);
      ASSERT_TRUE(log.Open());
      ASSERT_TRUE(submit(log, "first"));
      machine->StepWall(std::chrono::hours(25));
      ASSERT_TRUE(submit(log, "second"));  // old keys go when a new one comes
      EXPECT_EQ(submit(log, "first")->repeat, Repeat::kRepeated);
      machine->StepWall(-std::chrono::hours(25));
      log.sequencer->Stop();
    }
    machine = machine->Reboot(2);
    TestLog log(*machine, options);
    ASSERT_TRUE(log.Open());
    ASSERT_TRUE(submit(log, "third"));
    EXPECT_EQ(submit(log, "first")->repeat, Repeat::kRepeated);
  }
}

TEST(Sequencer, RowsAreNotInTheFutureBecauseTheWallClockSteppedBack) {
  SimulatedEnvironment machine(18);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  const int64_t now_s = machine.clock().Wall().us / 1'000'000;
  ASSERT_EQ(log.Submit({{now_s, 1}})->accepted, 1U);
  machine.StepWall(-std::chrono::hours(2));
  EXPECT_EQ(log.Submit({{now_s, 2}})->accepted, 1U);
}

TEST(Sequencer, AnAtomicBatchWithOneLateRowPutsNoRowIn) {
  SimulatedEnvironment machine(8);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  ASSERT_TRUE(log.Submit({{1000, 1}}));
  auto batch = BatchOf(log.stream, {{2000, 2}, {10, 3}, {2001, 4}}, "p", 1);
  batch.atomicity = columns::Atomicity::kAllOrNone;
  const auto answer = log.Submit(batch);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->accepted, 0U);
  ASSERT_EQ(answer->refused.size(), 1U);
  EXPECT_EQ(answer->refused[0].row, 1U);
  // Its good rows did not move the watermark either: 960 is not late against 1000.
  EXPECT_EQ(log.Submit({{960, 5}})->accepted, 1U);
  EXPECT_EQ(*ReadIds(machine), (std::vector<int64_t>{1, 5}));
}

// Though the first two are refused whole, they count as those that confirm the third one.
TEST(Sequencer, AtomicBatchesConfirmAJumpAsOthersDo) {
  constexpr int64_t kJump = 1000 + 3 * 86'400;
  for (const auto atomicity : {columns::Atomicity::kGoodRowsIn, columns::Atomicity::kAllOrNone}) {
    SimulatedEnvironment machine(8);
    TestLog log(machine);
    ASSERT_TRUE(log.Open());
    ASSERT_TRUE(log.Submit({{1000, 1}}));
    std::vector<uint32_t> accepted;
    for (int64_t i = 0; i < 3; ++i) {
      auto batch = BatchOf(log.stream, {{kJump + i, 2 + i}});
      batch.atomicity = atomicity;
      accepted.push_back(log.Submit(std::move(batch))->accepted);
    }
    EXPECT_EQ(accepted, (std::vector<uint32_t>{0, 0, 1}));
  }
}

TEST(Sequencer, RejectedRowsKeepTheirRequestNumbersAndTheirPayload) {
  SimulatedEnvironment machine(9);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  ASSERT_TRUE(log.Submit({{1000, 1}}));
  auto batch = BatchOf(log.stream, {{1001, 2}, {5, 3}, {1002, 4}});
  batch.row_numbers = {0, 2, 3};
  batch.rejected.push_back({1, "id", "required", "no id", "{}"});
  const auto answer = log.Submit(batch);
  ASSERT_EQ(answer->refused.size(), 2U);
  EXPECT_EQ(answer->refused[0].row, 1U);
  EXPECT_EQ(answer->refused[1].row, 2U);
  const Epoch& epoch = *log.durable.back();
  ASSERT_EQ(epoch.rejects.size(), 1U);
  EXPECT_EQ(epoch.rejects[0].rows[1].payload,
            R"({"at":"1970-01-01T00:00:05Z","id":3,"note":null})");
}

TEST(Sequencer, RefusesMoreThanTheQueueHolds) {
  SimulatedEnvironment machine(10);
  LogOptions options = TestOptions();
  options.queue_bytes_max = 4'000;
  TestLog log(machine, options);
  ASSERT_TRUE(log.Open());
  std::vector<ErrorCode> refusals;
  for (int64_t id = 0; id < 20; ++id)
    log.sequencer->Submit(BatchOf(log.stream, {{100, id}}), [&](const TestLog::Ack& ack) {
      if (!ack) refusals.push_back(ack.error().code());
    });
  ASSERT_TRUE(machine.RunUntilIdle());
  ASSERT_FALSE(refusals.empty());
  for (const ErrorCode code : refusals) EXPECT_EQ(code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(ReadIds(machine)->size(), 20 - refusals.size());
  EXPECT_TRUE(log.Submit({{100, 99}}));  // the queue is empty again
}

TEST(Sequencer, ManyEpochsRollOverSegmentsAndComeBackInOrder) {
  SimulatedEnvironment machine(11);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  std::vector<int64_t> expected;
  for (int64_t id = 0; id < 300; ++id) {
    std::vector<TestRow> rows(20, {100, id});
    ASSERT_TRUE(log.Submit(rows, "p", static_cast<uint64_t>(id + 1)));
    expected.insert(expected.end(), rows.size(), id);
  }
  EXPECT_GT(SegmentsOf(machine).size(), 3U);
  EXPECT_EQ(*ReadIds(machine), expected);
  log.sequencer.reset();
  const auto rebooted = machine.Reboot(12);
  TestLog second(*rebooted);
  ASSERT_TRUE(second.Open());
  EXPECT_EQ(second.recovered_ids, expected);
  ASSERT_TRUE(second.Submit({{100, 1000}}, "p", 301));
}

TEST(Sequencer, AnEpochLargerThanASegmentGetsASegmentOfItsOwn) {
  SimulatedEnvironment machine(51);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  ASSERT_TRUE(log.Submit({{100, 1}}));
  ASSERT_TRUE(log.Submit(std::vector<TestRow>(10'000, {100, 2})));
  ASSERT_TRUE(log.Submit({{100, 3}}));
  log.sequencer.reset();
  const auto rebooted = machine.Reboot(52);
  TestLog second(*rebooted);
  ASSERT_TRUE(second.Open());
  EXPECT_EQ(second.recovered_ids.size(), 10'002U);
  EXPECT_EQ(second.recovered_ids.back(), 3);
}

TEST(Sequencer, StopMakesDurableWhatWasSubmitted) {
  SimulatedEnvironment machine(13);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  int accepted = 0;
  for (int64_t id = 0; id < 10; ++id)
    log.sequencer->Submit(BatchOf(log.stream, {{100, id}}),
                          [&](const TestLog::Ack& ack) { accepted += ack ? 1 : 0; });
  log.sequencer->Stop();
  EXPECT_EQ(accepted, 10);
  EXPECT_EQ(ReadIds(machine)->size(), 10U);
  EXPECT_EQ(log.Submit({{100, 11}}).error().code(), ErrorCode::kUnavailable);
}

TEST(Sequencer, AStreamKeepsItsIdAndTakesNewNullableFields) {
  using columns::Field;
  using columns::Nullable;
  using columns::Type;
  SimulatedEnvironment machine(14);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  ASSERT_TRUE(log.Submit({{100, 1}}));
  log.sequencer.reset();

  const auto rebooted = machine.Reboot(15);
  base::MemoryBudget budget(1 << 30);
  auto sequencer = *Sequencer::Open(*rebooted, budget, "data", TestOptions(), nullptr);
  auto fields = TestSchema()->fields();
  fields.insert(fields.begin() + 1, Field{2, "extra", Type::kInt64, Nullable::kYes});
  const auto wider = std::make_shared<const columns::Schema>(fields);
  EXPECT_EQ(sequencer->AddStream("events", wider, TestTiming())->value, log.stream.value);
  EXPECT_NE(sequencer->AddStream("other", wider, TestTiming())->value, log.stream.value);
  fields[1].type = Type::kString;
  const auto retyped =
      sequencer->AddStream("events", std::make_shared<const columns::Schema>(fields), TestTiming());
  EXPECT_EQ(retyped.error().code(), ErrorCode::kConflict);
}

TEST(Sequencer, TwoProcessesCantHaveOneFolder) {
  SimulatedEnvironment machine(16);
  TestLog first(machine);
  ASSERT_TRUE(first.Open());
  TestLog second(machine);
  ASSERT_TRUE(second.Open());
  ASSERT_TRUE(second.error);
  EXPECT_EQ(second.error->code(), ErrorCode::kConflict);
}

TEST(Sequencer, TheNextEpochSaysWhenTheOneBeforeBecameVisible) {
  SimulatedEnvironment machine(17);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  const auto first = log.Submit({{100, 1}});
  log.sequencer->MarkVisible(first->epoch, {42});
  ASSERT_TRUE(log.Submit({{100, 2}}));
  EXPECT_EQ(log.durable.back()->previous_visible.us, 42);
  EXPECT_EQ(log.durable.back()->visible_through, first->epoch);
  ASSERT_TRUE(log.Submit({{100, 3}}));
  EXPECT_EQ(log.durable.back()->previous_visible, base::Timestamp::Min());
  EXPECT_EQ(log.durable.back()->visible_through, first->epoch);
}

TEST(Sequencer, ControlEntriesComeBackInOrder) {
  SimulatedEnvironment machine(18);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  const auto epoch = log.Append({ControlEntry::Kind::kDefinition, "d1", {1, 2, 3}});
  ASSERT_TRUE(epoch);
  const auto reader = *LogReader::Open(machine, "data");
  std::vector<std::string> names;
  ASSERT_TRUE(reader->Scan({1}, *epoch, [&](const EpochRef& read) {
    for (const ControlEntry& control : read->controls) names.push_back(control.name);
    return base::Result<void>();
  }));
  EXPECT_EQ(names, (std::vector<std::string>{"events", "d1"}));
}

TEST(Sequencer, LogBytesMaxRefusesRowsAndStillTakesControlEntries) {
  SimulatedEnvironment machine(19);
  LogOptions options = TestOptions();
  options.log_bytes_max = 40'000;
  TestLog log(machine, options);
  ASSERT_TRUE(log.Open());
  TestLog::Ack answer = log.Submit({{100, 0}});
  uint64_t sequence = 0;
  while (answer && sequence < 1'000) answer = log.Submit({{100, 1}}, "p", ++sequence);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), ErrorCode::kStorageFull);
  EXPECT_LE(log.sequencer->status().log_bytes, options.log_bytes_max);
  EXPECT_TRUE(log.Append({ControlEntry::Kind::kPublishPlan, "t", {1}}));
  // A repeat is still answered, and the refused batch did not use up its sequence.
  EXPECT_EQ(log.Submit({{100, 1}}, "p", sequence - 1)->repeat, Repeat::kRepeated);
  EXPECT_EQ(log.sequencer->LastSequence(log.stream, "p"), sequence - 1);
}

TEST(Sequencer, AFullDiskRefusesRetryablyTakesControlEntriesAndRecovers) {
  SimulatedEnvironment machine(20);
  machine.faults().capacity_bytes = 150'000;  // two segments and a little
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  uint64_t sequence = 1;
  TestLog::Ack answer = log.Submit({{100, 1}}, "p", sequence);
  while (answer && sequence < 1'000) answer = log.Submit({{100, 1}}, "p", ++sequence);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), ErrorCode::kStorageFull);
  EXPECT_FALSE(log.sequencer->status().read_only);
  EXPECT_TRUE(log.Append({ControlEntry::Kind::kPublishPlan, "t", {1}}));

  machine.faults().capacity_bytes = std::numeric_limits<uint64_t>::max();
  ASSERT_TRUE(machine.RunFor(std::chrono::seconds(2)));
  EXPECT_TRUE(log.Submit({{100, 1}}, "p", sequence));
  EXPECT_EQ(ReadIds(machine)->size(), sequence);
}

// An epoch that waits for space holds back what comes behind it, which is told so at once.
TEST(Sequencer, WhereAnOverwriteTakesSpaceAFullDiskRefusesRowsToo) {
  for (const bool stops : {false, true}) {
    SimulatedEnvironment machine(21);
    machine.faults().copies_on_write = true;
    TestLog log(machine);
    ASSERT_TRUE(log.Open());
    ASSERT_TRUE(log.Submit({{100, 1}}, "p", 1));
    machine.faults().capacity_bytes = 0;
    std::optional<TestLog::Ack> waiting;
    log.sequencer->Submit(BatchOf(log.stream, {{100, 2}}, "p", 2),
                          [&](TestLog::Ack ack) { waiting = std::move(ack); });
    ASSERT_TRUE(machine.RunUntilIdle());
    EXPECT_FALSE(waiting) << "what was admitted can't be taken back";
    const uint64_t writes = machine.operations(env::simulated::Operation::kWrite);
    for (int i = 0; i < 10; ++i) {
      const auto refused = log.Submit({{100, 3}});
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code(), ErrorCode::kStorageFull);
      EXPECT_FALSE(log.Append({ControlEntry::Kind::kPublishPlan, "t", {1}}));
    }
    std::optional<base::ErrorCode> change;
    log.sequencer->AppendEvolving(
        {{.id = {}, .name = "events", .schema = TestSchema(), .timing = TestTiming()}},
        {ControlEntry::Kind::kDefinition, "0123456789abcdef", {}},
        [&](const base::Result<base::EpochId>& epoch) {
          change = epoch ? base::ErrorCode::kInternal : epoch.error().code();
        });
    ASSERT_TRUE(machine.RunUntilIdle());
    EXPECT_EQ(change, ErrorCode::kStorageFull);
    EXPECT_EQ(machine.operations(env::simulated::Operation::kWrite), writes);
    std::optional<base::ErrorCode> capture;
    log.sequencer->CaptureState([&](const base::Result<StateCapture>& taken) {
      capture = taken ? base::ErrorCode::kInternal : taken.error().code();
    });
    ASSERT_TRUE(machine.RunFor(std::chrono::seconds(2)));
    EXPECT_EQ(capture, ErrorCode::kStorageFull) << "it would wait as long as the epoch";
    if (stops) {
      log.sequencer->Stop();
      ASSERT_TRUE(waiting.has_value());
      EXPECT_EQ(waiting->error().code(), ErrorCode::kStorageFull);
      continue;
    }
    machine.faults().capacity_bytes = std::numeric_limits<uint64_t>::max();
    ASSERT_TRUE(machine.RunFor(std::chrono::seconds(2)));
    ASSERT_TRUE(waiting.has_value());
    EXPECT_TRUE(*waiting);
    EXPECT_TRUE(log.Submit({{100, 3}}, "p", 3));
    EXPECT_EQ(*ReadIds(machine), (std::vector<int64_t>{1, 2, 3}));
  }
}

// Late rows became refusals that are longer than what there was room for: a segment is prepared,
// and what waits behind the epoch meanwhile is not taken before it is written.
TEST(Sequencer, WhatCameBehindAnEpochThatGetsNoSpaceIsRefused) {
  size_t without_space = 0;
  for (uint64_t spare_bytes = 0; spare_bytes < 400'000; spare_bytes += 8'192) {
    SCOPED_TRACE(spare_bytes);
    SimulatedEnvironment machine(22);
    machine.faults().copies_on_write = true;
    TestLog log(machine);
    ASSERT_TRUE(log.Open());
    ASSERT_TRUE(log.Submit({{10'000, 1}}));
    machine.faults().capacity_bytes = machine.disk().used_bytes() + spare_bytes;
    std::optional<TestLog::Ack> late;
    std::optional<TestLog::Ack> behind;
    log.sequencer->Submit(BatchOf(log.stream, std::vector<TestRow>(500, {100, 2})),
                          [&](TestLog::Ack ack) { late = std::move(ack); });
    log.sequencer->Submit(BatchOf(log.stream, {{10'000, 3}}),
                          [&](TestLog::Ack ack) { behind = std::move(ack); });
    ASSERT_TRUE(machine.RunUntilIdle());
    if (late) continue;
    ++without_space;
    ASSERT_TRUE(behind);
    ASSERT_FALSE(*behind);
    EXPECT_EQ(behind->error().code(), ErrorCode::kStorageFull);
  }
  EXPECT_GT(without_space, 0U);
}

// Refused rows are kept as texts, which name every column: how many come in at once is bounded by
// what they are then.
TEST(Sequencer, ABatchThatWouldBeTooLargeAsTextsIsRefused) {
  SimulatedEnvironment machine(1);
  LogOptions options = TestOptions();
  options.queue_bytes_max = 1U << 20;
  options.epoch_bytes_max = 16U << 10;
  TestLog log(machine, options);
  ASSERT_TRUE(log.Open());
  ASSERT_TRUE(log.Submit({{100'000, 0}}));
  std::vector<TestRow> rows;
  for (int64_t id = 1; id <= 6'000; ++id) rows.push_back({100'000, id});
  const auto in_time = log.Submit(rows);
  ASSERT_TRUE(in_time) << in_time.error().ToString();
  EXPECT_EQ(in_time->accepted, 6'000U);
  rows.front().at_s = 10;
  const auto one = log.Submit(rows);
  ASSERT_TRUE(one) << one.error().ToString();
  EXPECT_EQ(one->refused_rows, 1U);
  for (TestRow& row : rows) row.at_s = 10;
  const auto refused = log.Submit(rows);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kInvalidInput);
  EXPECT_NE(refused.error().message().find("split it"), std::string::npos);
  rows.resize(1'000);
  const auto split = log.Submit(rows);
  ASSERT_TRUE(split) << split.error().ToString();
  EXPECT_EQ(split->refused_rows, 1'000U);
}

}  // namespace
}  // namespace headrace::log
