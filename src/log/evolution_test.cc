// Streams that get new schemas while their log goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "columns/conform.h"
#include "log/log_fixture.h"

namespace headrace::log {
namespace {

using columns::Field;
using columns::Nullable;
using columns::SchemaRef;
using columns::Type;
using env::simulated::SimulatedEnvironment;
using testing::ElementsAre;
using testing::HasSubstr;

SchemaRef SchemaOf(std::vector<Field> fields) {
  return std::make_shared<const columns::Schema>(std::move(fields));
}

// A field more in the middle, one that need not be there any more, and another order.
SchemaRef Evolved() {
  return SchemaOf({{1, "id", Type::kInt64, Nullable::kYes},
                   {2, "place", Type::kString, Nullable::kYes},
                   {3, "note", Type::kString, Nullable::kYes},
                   {4, "at", Type::kTimestamp, Nullable::kNo}});
}

StreamTiming EvolvedTiming() {
  StreamTiming timing = TestTiming();
  timing.event_time_field = 3;
  return timing;
}

base::Result<base::EpochId> Evolve(SimulatedEnvironment& machine, TestLog& log, SchemaRef schema,
                                   StreamTiming timing) {
  base::Result<base::EpochId> answer = base::Fail(base::ErrorCode::kUnavailable, "no answer");
  bool answered = false;
  machine.Run([&] {
    log.sequencer->AppendEvolving(
        {{.id = {}, .name = "events", .schema = std::move(schema), .timing = timing}},
        {ControlEntry::Kind::kDefinition, "0123456789abcdef", {}},
        [&](base::Result<base::EpochId> epoch) {
          answer = std::move(epoch);
          answered = true;
        });
  });
  machine.RunUntil([&] { return answered; });
  return answer;
}

// (ids, names of the columns) of each epoch with rows, as a reader of the log sees them.
std::vector<std::string> Epochs(SimulatedEnvironment& machine) {
  std::vector<std::string> epochs;
  const auto reader = LogReader::Open(machine, "data");
  EXPECT_TRUE(reader);
  EXPECT_TRUE((*reader)->Scan({1}, {1ULL << 39}, [&](const EpochRef& epoch) {
    for (const StreamRows& stream : epoch->streams) {
      std::string text;
      const columns::Schema& schema = *stream.rows.schema();
      for (const Field& field : schema.fields()) text += field.name + " ";
      const auto ids = stream.rows.column(*schema.IndexOf("id")).Int64s();
      for (size_t row = 0; row < stream.rows.rows(); ++row) text += std::to_string(ids[row]) + ",";
      epochs.push_back(text);
    }
    return base::Result<void>();
  }));
  return epochs;
}

TEST(Evolution, TheEpochThatHoldsItIsTheFirstOfTheNewSchema) {
  SimulatedEnvironment machine(1);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  ASSERT_TRUE(log.Submit({{10, 1}, {11, 2}}));
  const auto at = Evolve(machine, log, Evolved(), EvolvedTiming());
  ASSERT_TRUE(at) << at.error().ToString();
  // Checked under the schema before: it lacks the new field.
  const auto old = log.Submit({{12, 3}});
  ASSERT_TRUE(old) << old.error().ToString();
  const EpochRef& last = log.durable.back();
  ASSERT_EQ(last->streams.size(), 1U);
  EXPECT_EQ(*last->streams[0].rows.schema()->IndexOf("place"), 1U);
  EXPECT_TRUE(last->streams[0].rows.column(1).IsNull(0));
  EXPECT_EQ(last->streams[0].rows.column(3).Int64s()[0], 12'000'000);
  // Fields keep their ids, and new ones get ids of their own.
  EXPECT_EQ(last->streams[0].rows.schema()->field(0).id, 2U);
  EXPECT_EQ(last->streams[0].rows.schema()->field(1).id, 4U);
  // And one that has it.
  columns::EventBatch batch;
  batch.stream = log.stream;
  batch.rows = columns::ConformTo(Evolved(), RowsOf({{13, 4}}));
  ASSERT_TRUE(log.Submit(std::move(batch)));
  EXPECT_THAT(Epochs(machine),
              ElementsAre("at id note 1,2,", "id place note at 3,", "id place note at 4,"));
}

// Batches of before it and the change are under way at once: an epoch has rows of one schema.
TEST(Evolution, AnEpochThatGathersRowsIsSealedFirst) {
  SimulatedEnvironment machine(2);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  int answered = 0;
  base::EpochId at;
  machine.Run([&] {
    const auto count = [&](TestLog::Ack ack) {
      EXPECT_TRUE(ack);
      ++answered;
    };
    for (int64_t id = 1; id <= 3; ++id)
      log.sequencer->Submit(BatchOf(log.stream, {{10 + id, id}}), count);
    log.sequencer->AppendEvolving(
        {{.id = {}, .name = "events", .schema = Evolved(), .timing = EvolvedTiming()}},
        {ControlEntry::Kind::kDefinition, "0123456789abcdef", {}},
        [&](base::Result<base::EpochId> epoch) {
          ASSERT_TRUE(epoch);
          at = *epoch;
          ++answered;
        });
    for (int64_t id = 4; id <= 6; ++id)
      log.sequencer->Submit(BatchOf(log.stream, {{10 + id, id}}), count);
  });
  machine.RunUntil([&] { return answered == 7; });
  std::vector<int64_t> ids;
  for (const EpochRef& epoch : log.durable)
    for (const StreamRows& stream : epoch->streams) {
      EXPECT_EQ(stream.rows.schema()->IndexOf("place").has_value(), epoch->id >= at);
      const auto column = stream.rows.column(*stream.rows.schema()->IndexOf("id"));
      for (size_t row = 0; row < stream.rows.rows(); ++row) ids.push_back(column.Int64s()[row]);
    }
  EXPECT_THAT(ids, ElementsAre(1, 2, 3, 4, 5, 6));
}

// Rows of before are of the type that they came in with, on every replay.
TEST(Evolution, AFieldGetsAWiderType) {
  SimulatedEnvironment machine(6);
  const auto schema = [](Type type) {
    return SchemaOf({{1, "at", Type::kTimestamp, Nullable::kNo},
                     {2, "id", Type::kInt64, Nullable::kNo},
                     {3, "note", Type::kString, Nullable::kYes},
                     {4, "n", type, Nullable::kYes}});
  };
  const auto types = [](const std::vector<EpochRef>& epochs) {
    std::vector<Type> found;
    for (const EpochRef& epoch : epochs)
      for (const StreamRows& stream : epoch->streams)
        if (const auto n = stream.rows.schema()->IndexOf("n"))
          found.push_back(stream.rows.column(*n).type());
    return found;
  };
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  ASSERT_TRUE(Evolve(machine, log, schema(Type::kInt32), TestTiming()));
  ASSERT_TRUE(log.Submit({{10, 1}}));
  ASSERT_TRUE(Evolve(machine, log, schema(Type::kInt64), TestTiming()));
  ASSERT_TRUE(log.Submit({{11, 2}}));
  EXPECT_THAT(types(log.durable), ElementsAre(Type::kInt32, Type::kInt64));
  EXPECT_FALSE(Evolve(machine, log, schema(Type::kInt32), TestTiming())) << "no way back";
}

TEST(Evolution, WhatCannotFollowIsRefusedAndNothingIsLogged) {
  SimulatedEnvironment machine(3);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  ASSERT_TRUE(log.Submit({{10, 1}}));
  const base::EpochId before = log.sequencer->status().durable;
  const Field at{1, "at", Type::kTimestamp, Nullable::kNo};
  const Field id{2, "id", Type::kInt64, Nullable::kNo};
  const Field note{3, "note", Type::kString, Nullable::kYes};
  struct Case {
    std::vector<Field> fields;
    const char* why;
  };
  const std::vector<Case> cases = {
      {{at, id}, "field `note` is gone"},
      {{at, id, note, {4, "more", Type::kBool, Nullable::kNo}}, "`more` is new and required"},
      {{at, {2, "id", Type::kFloat64, Nullable::kNo}, note}, "was int64 and is float64"},
      {{at, id, {3, "note", Type::kString, Nullable::kNo}}, "`note` may be missing"}};
  for (const Case& each : cases) {
    const auto refused = Evolve(machine, log, SchemaOf(each.fields), TestTiming());
    ASSERT_FALSE(refused) << each.why;
    EXPECT_EQ(refused.error().code(), base::ErrorCode::kConflict);
    EXPECT_THAT(refused.error().message(), HasSubstr(each.why));
  }
  EXPECT_EQ(log.sequencer->status().durable, before);
  EXPECT_TRUE(log.Submit({{11, 2}}));
}

TEST(Evolution, ANewLifeKnowsTheSchemaAndRefusesTheOneBefore) {
  auto machine = std::make_unique<SimulatedEnvironment>(4);
  {
    TestLog log(*machine);
    ASSERT_TRUE(log.Open());
    ASSERT_TRUE(log.Submit({{10, 1}}));
    ASSERT_TRUE(Evolve(*machine, log, Evolved(), EvolvedTiming()));
    ASSERT_TRUE(log.Submit({{11, 2}}));
    machine->Crash();
  }
  machine = machine->Reboot(9);
  machine->Run([&] {
    base::MemoryBudget budget{1ULL << 30};
    auto sequencer = Sequencer::Open(*machine, budget, "data", TestOptions(),
                                     [](const Epoch&) { return base::Result<void>(); });
    ASSERT_TRUE(sequencer) << sequencer.error().ToString();
    const auto refused = (*sequencer)->AddStream("events", TestSchema(), TestTiming());
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message(), HasSubstr("field `place` is gone"));
    EXPECT_TRUE((*sequencer)->AddStream("events", Evolved(), EvolvedTiming()));
  });
}

// The capture names the streams of when it began; a change overtakes it.
TEST(Evolution, ALifeFromACaptureKnowsAChangeThatCameWhileItWasTaken) {
  auto machine = std::make_unique<SimulatedEnvironment>(7);
  LogOptions options = TestOptions();
  options.capture_slice_bytes = 100;
  std::optional<StateCapture> capture;
  std::optional<base::EpochId> changed;
  {
    TestLog log(*machine, options);
    ASSERT_TRUE(log.Open());
    for (int64_t id = 1; id <= 50; ++id) {
      columns::EventBatch batch = BatchOf(log.stream, {{10, id}});
      batch.source.idempotency_key = "key " + std::to_string(id);
      ASSERT_TRUE(log.Submit(std::move(batch)));
    }
    machine->Run([&] {
      log.sequencer->CaptureState([&](base::Result<StateCapture> taken) {
        capture = std::move(*taken);
        capture->charges.clear();
      });
      log.sequencer->AppendEvolving(
          {{.id = {}, .name = "events", .schema = Evolved(), .timing = EvolvedTiming()}},
          {ControlEntry::Kind::kDefinition, "0123456789abcdef", {}},
          [&](base::Result<base::EpochId> epoch) { changed = *epoch; });
    });
    machine->RunUntil([&] { return capture && changed; });
    ASSERT_GE(capture->epoch, *changed);
    ASSERT_TRUE(log.Submit({{1'000, 51}}));
    machine->Crash();
  }
  machine = machine->Reboot(9);
  for (const ResumePoint& resume :
       {ResumePoint{}, ResumePoint{{changed->value - 1}, capture->bytes}}) {
    SCOPED_TRACE("after epoch " + std::to_string(resume.after.value));
    TestLog log(*machine, options);
    log.schema = Evolved();
    log.timing = EvolvedTiming();
    ASSERT_TRUE(log.Open(resume));
    ASSERT_FALSE(log.error) << log.error->ToString();
    const auto late = log.Submit({{20, 52}});
    ASSERT_TRUE(late) << late.error().ToString();
    EXPECT_EQ(late->refused.size(), 1U);
  }
}

// At a start, too, another order of fields is a change that is logged, and batches come in.
TEST(Evolution, AStartTakesAnotherOrder) {
  auto machine = std::make_unique<SimulatedEnvironment>(5);
  {
    TestLog log(*machine);
    ASSERT_TRUE(log.Open());
    ASSERT_TRUE(log.Submit({{10, 1}}));
    machine->Crash();
  }
  machine = machine->Reboot(9);
  const auto turned = SchemaOf({{1, "note", Type::kString, Nullable::kYes},
                                {2, "id", Type::kInt64, Nullable::kNo},
                                {3, "at", Type::kTimestamp, Nullable::kNo}});
  base::MemoryBudget budget{1ULL << 30};
  std::unique_ptr<Sequencer> sequencer;
  bool accepted = false;
  machine->Run([&] {
    auto opened = Sequencer::Open(*machine, budget, "data", TestOptions(),
                                  [](const Epoch&) { return base::Result<void>(); });
    ASSERT_TRUE(opened);
    sequencer = std::move(*opened);
    StreamTiming timing = TestTiming();
    timing.event_time_field = 2;
    const auto stream = sequencer->AddStream("events", turned, timing);
    ASSERT_TRUE(stream);
    sequencer->Start([](const EpochRef&) {});
    columns::EventBatch batch;
    batch.stream = *stream;
    batch.rows = columns::ConformTo(turned, RowsOf({{11, 2}}));
    sequencer->Submit(std::move(batch), [&](TestLog::Ack ack) {
      EXPECT_TRUE(ack) << ack.error().ToString();
      accepted = true;
    });
  });
  machine->RunUntil([&] { return accepted; });
  EXPECT_THAT(Epochs(*machine), ElementsAre("at id note 1,", "note id at 2,"));
}

}  // namespace
}  // namespace headrace::log
