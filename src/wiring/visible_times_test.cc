// When rows became visible is in the log soon after, whatever comes next: nothing, a stop, a crash.

#include "wiring/visible_times.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "log/reader.h"
#include "training/history.h"
#include "wiring/lives_fixture.h"

namespace headrace::wiring {
namespace {

using namespace lives_fixture;  // NOLINT: the test is written in the fixture's words

// When the rows became known, in the order of the log, as training reads it beside the engine or
// without one; `untold`: of so many nothing tells.
std::vector<int64_t> KnownAt(Lives& lives, uint64_t untold = 0) {
  std::vector<int64_t> known;
  lives.machine_->Run([&] {
    const auto history = training::History::Open(*lives.machine_, kData);
    ASSERT_TRUE(history) << history.error().ToString();
    const auto add = [&](const tables::PositionedRows& part) -> base::Result<void> {
      known.insert(known.end(), part.known_at.begin(), part.known_at.end());
      return {};
    };
    const auto scanned = (*history)->ScanRows(lives.definition_->streams[0], {0}, add);
    ASSERT_TRUE(scanned) << scanned.error().ToString();
    EXPECT_EQ(scanned->total().of_unknown_time, untold);
  });
  return known;
}

int64_t Now(Lives& lives) { return lives.machine_->clock().Wall().us; }

void Stop(Lives& lives) {
  lives.machine_->Run([&] { lives.core_->Stop(); });
  lives.core_.reset();
}

TEST(VisibleTimes, AreToldOnceNothingComesAnyMore) {
  Lives lives(OnTheWall());
  lives.Send(1);
  const int64_t answered = Now(lives);
  EXPECT_EQ(KnownAt(lives, 1).size(), 1U);
  lives.machine_->RunFor(std::chrono::seconds(3));
  ASSERT_EQ(KnownAt(lives).size(), 1U);
  EXPECT_LE(KnownAt(lives)[0], answered);
  const base::EpochId told = lives.core_->log_status().durable;
  lives.machine_->RunFor(std::chrono::hours(1));
  EXPECT_EQ(lives.core_->log_status().durable, told) << "an idle engine writes";
  lives.Send(1);
  lives.Send(1);
  lives.machine_->RunFor(std::chrono::hours(1));
  EXPECT_EQ(lives.core_->log_status().durable.value, told.value + 3);
}

TEST(VisibleTimes, AreToldAtAStop) {
  Lives lives(OnTheWall());
  lives.Send(1);
  lives.Send(2);
  const int64_t answered = Now(lives);
  Stop(lives);
  const std::vector<int64_t> known = KnownAt(lives);
  ASSERT_EQ(known.size(), 3U);
  EXPECT_LE(std::ranges::max(known), answered);
  lives.machine_->RunFor(std::chrono::hours(1));
  lives.Start();
  lives.Send(1);
  lives.machine_->RunFor(std::chrono::seconds(3));
  std::vector<int64_t> later = KnownAt(lives);
  ASSERT_EQ(later.size(), 4U);
  later.pop_back();
  EXPECT_EQ(later, known) << "a later life says otherwise";
}

// Nobody knows whether they were answered before the crash: they are known from the start on.
TEST(VisibleTimes, OfRowsBeforeACrashAreTheStart) {
  Lives lives(OnTheWall());
  lives.Send(1);
  lives.machine_->RunFor(std::chrono::milliseconds(100));
  lives.Die();
  const int64_t started = Now(lives);
  lives.machine_->RunFor(std::chrono::seconds(3));
  ASSERT_EQ(KnownAt(lives).size(), 1U);
  EXPECT_LE(KnownAt(lives)[0], started);
  const base::EpochId told = lives.core_->log_status().durable;
  for (int i = 0; i < 3; ++i) {
    lives.Die();
    lives.machine_->RunFor(std::chrono::minutes(1));
  }
  EXPECT_EQ(lives.core_->log_status().durable, told) << "every start writes";
}

// Takes no entry while it is full.
class FullLog final : public log::Sequencer {
 public:
  base::Result<base::StreamId> AddStream(const std::string& /*name*/, columns::SchemaRef /*schema*/,
                                         log::StreamTiming /*timing*/) override {
    return base::StreamId{1};
  }
  void Start(DurableCallback /*on_durable*/) override {}
  void Submit(columns::EventBatch /*batch*/, log::AckCallback /*done*/) override {}
  bool WouldFollow(const columns::EventBatch& /*batch*/, const log::StreamTiming& /*timing*/,
                   base::EpochId /*epoch*/) const override {
    return false;
  }
  void Append(log::ControlEntry /*entry*/,
              std::move_only_function<void(base::Result<base::EpochId>)> done) override {
    ++asked;
    if (full) return done(base::Fail(base::ErrorCode::kStorageFull, "no room"));
    done(base::EpochId{100});
  }
  void AppendEvolving(
      std::vector<log::StreamSpec> /*streams*/, log::ControlEntry /*entry*/,
      std::move_only_function<void(base::Result<base::EpochId>)> /*done*/) override {}
  void MarkVisible(base::EpochId /*epoch*/, base::Timestamp /*at*/) override {}
  void CaptureState(log::CaptureCallback /*done*/) override {}
  void Retain(base::EpochId /*from*/) override {}
  void Hold(std::move_only_function<void(base::EpochId)> /*done*/) override {}
  void LetGo() override {}
  uint64_t LastSequence(base::StreamId /*stream*/, const std::string& /*producer*/) const override {
    return 0;
  }
  log::LogStatus status() const override { return {}; }
  const base::Histogram& sync_us() const override { return times_; }
  const base::Histogram& durable_us() const override { return times_; }
  void Stop() override {}

  bool full = true;
  int asked = 0;

 private:
  base::Histogram times_;
};

// No further rows come once it has room.
TEST(VisibleTimes, AreToldOnceTheLogHasRoomAgain) {
  SimulatedEnvironment machine(1);
  FullLog sequencer;
  const pipeline::PipelineRef definition = Define(OnTheWall());
  VisibleTimes times(machine, sequencer, *definition);
  log::Epoch epoch{.id = {5}};
  columns::BatchBuilder rows(definition->streams[0].schema());
  rows.column(0).AppendInt(1);
  rows.column(1).AppendDouble(1);
  rows.column(2).AppendInt(1);
  epoch.streams.push_back({{1}, rows.Finish()});
  times.NoteDurable(epoch);
  times.NoteVisible({5});
  machine.RunFor(std::chrono::seconds(10));
  EXPECT_GE(sequencer.asked, 5);
  sequencer.full = false;
  machine.RunFor(std::chrono::seconds(3));
  const int asked = sequencer.asked;
  machine.RunFor(std::chrono::minutes(1));
  EXPECT_EQ(sequencer.asked, asked);
}

TEST(VisibleTimes, AreNotToldWhereRowsSayIt) {
  Lives lives(Text(kHour, Table::kNo));
  lives.Send(1);
  const base::EpochId durable = lives.core_->log_status().durable;
  lives.machine_->RunFor(std::chrono::hours(1));
  lives.Die();
  lives.machine_->RunFor(std::chrono::hours(1));
  EXPECT_EQ(lives.core_->log_status().durable, durable);
}

}  // namespace
}  // namespace headrace::wiring
