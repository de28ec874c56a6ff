// Starts from snapshots, on a simulated machine: what is used, what is passed over, and that
// answers are the same whichever it was.

#include "wiring/recovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <random>

#include "base/log.h"
#include "columns/batch_builder.h"
#include "columns/value.h"
#include "env/simulated/environment.h"
#include "log/recovery_progress.h"
#include "log/snapshot_file.h"
#include "pipeline/pipeline_file.h"

namespace headrace::wiring {
namespace {

using env::simulated::SimulatedEnvironment;

constexpr const char* kData = "data";
constexpr const char* kSnapshots = "data/snapshots";
constexpr int64_t kMinute = 60'000'000;

constexpr std::string_view kPipeline = R"(headrace: 1
pipeline: payments
promise: {budget: {p99: 200ms}}
clock: events
streams:
  payments: {contract: payments.yaml, source: {http: push}, time: {event: paid_at, late: 1h}}
views:
  card: {from: payments, by: card, over: [1h, 6h], features: {n: count(*), spend: sum(amount)}}
services: {scoring: {features: [card.*]}}
tables: {payments: {commit: 1s}}
)";
// Nothing but rows gets into its log.
constexpr std::string_view kWithoutTable = kPipeline.substr(0, kPipeline.find("tables:"));
constexpr std::string_view kContract = R"(apiVersion: v3.1.0
kind: DataContract
id: payments
version: 1.0.0
status: active
schema:
  - name: payments
    logicalType: object
    properties:
      - {name: card, logicalType: integer, required: true}
      - {name: amount, logicalType: number, required: true, logicalTypeOptions: {minimum: 0}}
      - {name: paid_at, logicalType: timestamp, required: true}
)";

pipeline::PipelineRef DefinitionOf(const std::string& text) {
  auto checked = pipeline::CheckPipeline("pipeline.yaml", text, [](const std::string&) {
    return base::Result<std::string>(std::string(kContract));
  });
  HR_CHECK(checked.definition != nullptr, "the test's pipeline is broken");
  return checked.definition;
}

// One log through its lives. A batch of `rows` payments is sent, acknowledged and visible at a
// time.
class Recovery : public ::testing::Test {
 protected:
  Recovery() : machine_(std::make_unique<SimulatedEnvironment>(1)), random_(1) {}
  ~Recovery() override {
    machine_->Crash();
    core_.reset();
  }

  base::Result<void> Start(const std::string& pipeline = std::string(kPipeline)) {
    base::Result<void> started;
    definition_ = DefinitionOf(pipeline);
    machine_->Run([&] {
      auto core = Core::Start(
          *machine_,
          {.definition = definition_, .data_folder = kData, .log = {}, .answers_file = {}});
      if (core) {
        core_ = std::move(*core);
      } else {
        started = base::Fail(core.error());
      }
    });
    return started;
  }

  void Die() {
    machine_->Crash();
    core_.reset();
    machine_ = machine_->Reboot(random_());
  }

  void Send(int rows) {
    columns::BatchBuilder builder(definition_->streams[0].schema());
    for (int i = 0; i < rows; ++i) {
      builder.column(0).AppendInt(static_cast<int64_t>(random_() % 5));
      builder.column(1).AppendDouble(
          random_() % 20 == 0 ? -1 : static_cast<double>(random_() % 999) / 7);
      builder.column(2).AppendInt(now_ += kMinute / 4);
    }
    columns::EventBatch batch = definition_->streams[0].contract->Enforce(builder.Finish());
    batch.source.producer = "p";
    batch.source.sequence = ++sequence_;
    std::optional<base::Result<log::Acknowledgement>> answer;
    machine_->Run([&] {
      batch.stream = *core_->StreamNamed("payments");
      core_->Submit(std::move(batch), [&](auto ack) { answer = std::move(ack); });
    });
    machine_->RunUntil([&] { return answer && core_->visible() >= (*answer)->epoch; });
    ASSERT_TRUE(answer && answer->has_value());
  }

  void TakeSnapshot() {
    std::optional<base::Result<void>> taken;
    machine_->Run([&] { core_->TakeSnapshot([&](auto result) { taken = std::move(result); }); });
    machine_->RunUntil([&] { return taken.has_value(); });
    ASSERT_TRUE(taken->has_value()) << taken->error().ToString();
  }

  // Of a life that has died; the file of the next, whose view it lacks.
  std::string SnapshotBeforeAWiderWindow() {
    EXPECT_TRUE(Start());
    Send(100);
    TakeSnapshot();
    Die();
    std::string wider(kPipeline);
    return wider.replace(wider.find("[1h, 6h]"), 8, "[1h, 9h]");
  }

  // Everything that can be asked, as text.
  std::string Answers() {
    std::string all;
    for (int64_t card = 0; card < 6; ++card) {
      serving::FeatureQuery query;
      query.service = "scoring";
      query.inputs = {{"card", {columns::Value::Int64(card)}}};
      machine_->Run([&] {
        const auto answer = core_->answers().Answer(query);
        for (const columns::Value& value : answer->values) all += value.ToJson() + " ";
        all += "| ";
      });
    }
    machine_->Run(
        [&] { all += core_->DeadLetters({.stream = {}, .after = {}, .limit = 1000})->json; });
    return all + std::to_string(core_->log_status().rows_accepted) + " rows, producer at " +
           std::to_string(core_->LastSequence(*core_->StreamNamed("payments"), "p"));
  }

  std::vector<log::SnapshotName> Snapshots() {
    return *log::ListSnapshots(machine_->files(), kSnapshots);
  }

  std::unique_ptr<SimulatedEnvironment> machine_;
  std::unique_ptr<Core> core_;
  pipeline::PipelineRef definition_;
  std::mt19937_64 random_;
  int64_t now_ = 1'000'000 * kMinute;
  uint64_t sequence_ = 0;
};

TEST_F(Recovery, FromASnapshotAndTheLogAfterIt) {
  ASSERT_TRUE(Start());
  for (int i = 0; i < 10; ++i) Send(50);
  TakeSnapshot();
  for (int i = 0; i < 3; ++i) Send(50);
  const std::string before = Answers();
  Die();
  ASSERT_TRUE(Start());
  EXPECT_EQ(Answers(), before);
  EXPECT_FALSE(core_->started_from().snapshot.empty());
  EXPECT_LT(core_->started_from().replayed_rows, 160U);
  EXPECT_GT(core_->started_from().replayed_rows, 100U);
}

TEST_F(Recovery, ADamagedSnapshotFallsBackToTheOneBeforeIt) {
  ASSERT_TRUE(Start());
  Send(200);
  TakeSnapshot();
  const auto first = Snapshots().front();
  Send(200);
  TakeSnapshot();
  Send(20);
  const std::string before = Answers();
  for (int round = 0; round < 20; ++round) {
    Die();
    const auto newest = Snapshots().front();
    const uint64_t bytes = machine_->disk().Find(newest.path)->size();
    const uint64_t at = random_() % bytes;
    machine_->disk().FlipBit(newest.path, at, 3);
    ASSERT_TRUE(Start());
    EXPECT_EQ(core_->started_from().snapshot, first.path);
    EXPECT_EQ(core_->started_from().passed_over, 1U);
    EXPECT_EQ(Answers(), before) << "flipped at " << at << " of " << bytes;
    EXPECT_EQ(Snapshots().size(), 1U);  // put aside
    // Mended by hand, for the next round.
    machine_->disk().FlipBit(newest.path + ".damaged", at, 3);
    ASSERT_TRUE(machine_->files().Rename(newest.path + ".damaged", newest.path));
    ASSERT_TRUE(machine_->files().SyncFolder(kSnapshots));
  }
}

// It may be read the next time, so it stays where it is.
TEST_F(Recovery, ASnapshotThatTheDiskDoesNotGiveFallsBackToTheOneBeforeIt) {
  ASSERT_TRUE(Start());
  Send(200);
  TakeSnapshot();
  const auto first = Snapshots().front();
  Send(200);
  TakeSnapshot();
  const std::string before = Answers();
  int fell_back = 0;
  for (uint64_t read = 1; read <= 20; ++read) {
    Die();
    machine_->faults()[env::simulated::Operation::kRead].number = read;
    if (!Start()) continue;  // the log's
    EXPECT_EQ(Answers(), before);
    EXPECT_EQ(Snapshots().size(), 2U);
    if (core_->started_from().passed_over == 0) continue;
    ++fell_back;
    EXPECT_EQ(core_->started_from().snapshot, first.path);
  }
  EXPECT_EQ(fell_back, 2) << "its blocks, and its end";
}

TEST_F(Recovery, WithoutAnyUsableSnapshotTheLogIsReadWhole) {
  ASSERT_TRUE(Start());
  Send(100);
  TakeSnapshot();
  const std::string before = Answers();
  Die();
  machine_->disk().FlipBit(Snapshots().front().path, 100, 0);
  ASSERT_TRUE(Start());
  EXPECT_TRUE(core_->started_from().snapshot.empty());
  EXPECT_EQ(Answers(), before);
}

TEST_F(Recovery, AViewThatASnapshotLacksIsBuiltFromItsHistory) {
  const std::string wider = SnapshotBeforeAWiderWindow();
  ASSERT_TRUE(Start(wider));
  EXPECT_FALSE(core_->started_from().snapshot.empty());
  EXPECT_EQ(core_->started_from().built_views, std::vector<std::string>{"card"});
  EXPECT_GT(core_->started_from().built_rows, 90U);
  const std::string from_history = Answers();
  Die();
  ASSERT_TRUE(machine_->files().Remove(Snapshots().front().path));
  ASSERT_TRUE(Start(wider));
  EXPECT_TRUE(core_->started_from().snapshot.empty());
  EXPECT_EQ(Answers(), from_history);
}

TEST_F(Recovery, AViewThatAStartBuiltIsInASnapshotSoonAfter) {
  const std::string wider = SnapshotBeforeAWiderWindow();
  ASSERT_TRUE(Start(wider));
  EXPECT_EQ(core_->started_from().built_views, std::vector<std::string>{"card"});
  machine_->RunFor(std::chrono::seconds(5));
  Die();
  ASSERT_TRUE(Start(wider));
  EXPECT_TRUE(core_->started_from().built_views.empty());
}

// What is kept of the rows is the same: no replay.
TEST_F(Recovery, ASnapshotServesNewFeaturesOverTheSameRows) {
  ASSERT_TRUE(Start());
  Send(100);
  TakeSnapshot();
  Die();
  std::string more(kPipeline);
  more.replace(more.find("spend: sum(amount)"), 18, "spend: sum(amount), mean: avg(amount)");
  ASSERT_TRUE(Start(more));
  EXPECT_FALSE(core_->started_from().snapshot.empty());
}

// The log was restored from a copy that is older than the snapshot.
TEST_F(Recovery, ASnapshotAheadOfTheLogIsPassedOver) {
  ASSERT_TRUE(Start());
  Send(100);
  const std::string then = Answers();
  Die();
  auto copy = machine_->disk().Find("data/log/epoch-00000000000000000001.log");
  const std::vector<uint8_t> old(copy->bytes().begin(), copy->bytes().end());
  ASSERT_TRUE(Start());
  Send(100);
  TakeSnapshot();
  Die();
  auto restored = machine_->disk().Find("data/log/epoch-00000000000000000001.log");
  restored->Write(0, old);
  ASSERT_TRUE(machine_->files().Remove("data/log/DURABLE"));
  ASSERT_TRUE(Start());
  EXPECT_TRUE(core_->started_from().snapshot.empty());
  EXPECT_EQ(core_->started_from().passed_over, 1U);
  EXPECT_EQ(Answers(), then);
}

// The file of another pipeline is taken, as a changed one is; but not in silence.
TEST_F(Recovery, AStartSaysWhatItsFileLeavesOut) {
  std::vector<std::string> warned;
  base::SetLogSink([&](const base::LogLine& line) {
    if (line.level == base::LogLevel::kWarning) warned.push_back(line.event + " " + line.fields);
  });
  ASSERT_TRUE(Start());
  Send(10);
  Die();
  warned.clear();
  std::string other(kPipeline);
  other.replace(other.find("pipeline: payments"), 18, "pipeline: refunds");
  for (size_t at = 0; (at = other.find("payments: {", at)) != std::string::npos;)
    other.replace(at, 8, "refunds");
  other.replace(other.find("from: payments"), 14, "from: refunds");
  ASSERT_TRUE(Start(other));
  base::SetLogSink({});
  EXPECT_THAT(warned, testing::ElementsAre(
                          testing::HasSubstr("wiring.another_pipeline was=payments is=refunds"),
                          testing::HasSubstr("wiring.stream_left_out stream=payments")));
}

TEST_F(Recovery, TwoSnapshotsStay) {
  ASSERT_TRUE(Start());
  for (int i = 0; i < 5; ++i) {
    Send(30);
    TakeSnapshot();
  }
  EXPECT_EQ(Snapshots().size(), 2U);
}

// Whoever reads it looks at something else, too.
class LookingClock final : public env::Clock {
 public:
  LookingClock(const env::Clock& clock, std::function<void()> look)
      : clock_(clock), look_(std::move(look)) {}
  env::MonotonicTime Now() const override {
    look_();
    return clock_.Now();
  }
  base::Timestamp Wall() const override { return clock_.Wall(); }

 private:
  const env::Clock& clock_;
  const std::function<void()> look_;
};

TEST_F(Recovery, TheLogsStateOfASnapshotIsChargedUntilItIsLearnt) {
  ASSERT_TRUE(Start());
  Send(50);
  TakeSnapshot();
  const base::LogId log = core_->log_status().log;
  Die();
  uint64_t state_bytes = 0;
  auto reader = log::SnapshotReader::Open(machine_->files(), Snapshots().front().path, log);
  ASSERT_TRUE(reader);
  while (const auto block = *reader->Next())
    if (block->section == log::SnapshotSection::kLogState) state_bytes = block->payload.size();
  ASSERT_GT(state_bytes, 0U);

  base::MemoryBudget budget(1ULL << 30);
  const auto charged = [&] { return budget.used_bytes(base::MemoryAccount::kLog); };
  uint64_t most_bytes = 0;
  LookingClock clock(machine_->clock(), [&] { most_bytes = std::max(most_bytes, charged()); });
  log::RecoveryProgress progress(clock);
  uint64_t learnt_bytes = 0;
  machine_->Run([&] {
    CoreOptions options{
        .definition = definition_, .data_folder = kData, .log = {}, .answers_file = {}};
    options.progress = options.log.progress = &progress;
    ASSERT_TRUE(RecoverCore(*machine_, budget, options));
    learnt_bytes = charged();
  });
  EXPECT_GE(most_bytes, state_bytes);
  EXPECT_EQ(learnt_bytes, 0U);
}

// After a crash the next one is likeliest: until there is a snapshot again, it waits for nobody.
TEST_F(Recovery, TheFirstSnapshotAfterALongReplayHurries) {
  const std::string pipeline = std::string(kWithoutTable) + "recovery: 100ms\n";
  const auto waited = [&] {
    return machine_->background()
        .Figures(env::WorkClass::kSnapshots, machine_->clock().Now())
        .waited_total;
  };
  ASSERT_TRUE(Start(pipeline));
  Send(30'000);  // 0.03 s to replay, as long as no start has shown how fast this machine is
  Die();
  ASSERT_TRUE(Start(pipeline));
  machine_->background().Pause(env::WorkClass::kSnapshots, "ingest is pressed",
                               machine_->clock().Now());
  TakeSnapshot();
  EXPECT_EQ(waited().count(), 0);
  TakeSnapshot();
  EXPECT_GT(waited().count(), 0);
}

// Of the same epoch, so in the place of the newest: the one before stays.
TEST_F(Recovery, ASnapshotWithoutNewRowsLeavesTheOneBefore) {
  ASSERT_TRUE(Start(std::string(kWithoutTable)));
  Send(30);
  TakeSnapshot();
  Send(30);
  TakeSnapshot();
  TakeSnapshot();
  ASSERT_EQ(Snapshots().size(), 2U);
  const std::string before = Answers();
  const auto [newest, older] = std::pair(Snapshots()[0].path, Snapshots()[1].path);
  Die();
  machine_->disk().FlipBit(newest, 100, 0);
  ASSERT_TRUE(Start(std::string(kWithoutTable)));
  EXPECT_EQ(core_->started_from().snapshot, older);
  EXPECT_EQ(Answers(), before);
}

}  // namespace
}  // namespace headrace::wiring
