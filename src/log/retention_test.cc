// Segments are let go under crashes, torn writes, lost folder entries and full disks, from a seed.
//
// The test keeps its own record: which rows were refused, which definitions were logged, what was
// answered. After every reboot the log, opened from the newest capture, must still know them all.

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/log.h"
#include "env/crash_points.h"
#include "log/log_fixture.h"

namespace headrace::log {
namespace {

using base::EpochId;
using base::ErrorCode;
using env::simulated::CrashKind;
using env::simulated::Faults;
using env::simulated::SimulatedEnvironment;

constexpr int64_t kLateRow = 7;
constexpr EpochId kFarAhead{1ULL << 39};

class Retain : public testing::Test {
 protected:
  void SetUp() override {
    base::SetLogSink([](const base::LogLine& line) {
      EXPECT_TRUE(line.level != base::LogLevel::kError || line.event == "log.read_only")
          << line.event;
    });
  }
  void TearDown() override { base::SetLogSink({}); }
};

LogOptions RetainOptions() {
  LogOptions options = TestOptions();
  options.segment_bytes = 16 << 10;
  options.reserve_bytes = 2 << 10;
  options.outcomes_per_producer = 10'000;
  return options;
}

// What ScanRefused shows.
struct Shown {
  std::vector<std::string> refused;      // payloads
  std::vector<std::string> definitions;  // names
  std::map<std::string, int> plans;      // the number of the newest of each table
  std::vector<EpochId> epochs;
};

base::Result<Shown> ReadRefused(env::Environment& environment) {
  HR_TRY(const auto reader, LogReader::Open(environment, "data"));
  Shown shown;
  HR_TRY_VOID(reader->ScanRefused({1}, kFarAhead, [&](const EpochRef& epoch) {
    shown.epochs.push_back(epoch->id);
    for (const StreamRejects& rejects : epoch->rejects)
      for (const columns::RejectedRow& row : rejects.rows) shown.refused.push_back(row.payload);
    for (const ControlEntry& entry : epoch->controls) {
      if (entry.kind == ControlEntry::Kind::kDefinition) shown.definitions.push_back(entry.name);
      if (entry.kind == ControlEntry::Kind::kPublishPlan && !entry.payload.empty())
        shown.plans[entry.name] = entry.payload[0] * 256 + entry.payload[1];
    }
    return base::Result<void>();
  }));
  return shown;
}

class RetainedLog {
 public:
  RetainedLog(uint64_t seed, LogOptions options) : random_(seed), options_(options) {}

  // Several lives; the points that it crashed at are added.
  void Live(std::set<std::string>& crashed_at) {
    auto machine = std::make_unique<SimulatedEnvironment>(random_(), DrawFaults());
    constexpr int kLives = 6;
    for (int life = 0; life <= kLives && !testing::Test::HasFailure(); ++life) {
      const bool last = life == kLives;
      LiveOnce(*machine, last);
      if (machine->crashed()) crashed_at.insert(machine->faults().crash_point);
      if (last) break;
      machine->Crash(random_() % 3 == 0 ? CrashKind::kKill : CrashKind::kPowerCut);
      log_.reset();
      machine = machine->Reboot(random_(), life + 1 == kLives ? Faults{} : DrawFaults());
    }
    log_.reset();
  }
  uint64_t forgotten() const { return forgotten_; }

 private:
  struct Sent {
    std::vector<TestRow> rows;
    std::optional<Acknowledgement> answer;
  };

  Faults DrawFaults() {
    Faults faults;
    std::vector<std::string_view> points;
    for (const std::string_view point : env::kCrashPoints)
      if (point.starts_with("retain.") || point == "log.after_write" ||
          point == "segment.after_rename")
        points.push_back(point);
    faults.crash_point = points[random_() % points.size()];
    // What a start has to settle needs a removal that was cut off.
    if (previous_point_ == "retain.after_residue" || previous_point_ == "retain.before_remove")
      faults.crash_point = "retain.before_settle";
    previous_point_ = faults.crash_point;
    faults.crash_hit = 1 + (faults.crash_point == "retain.before_settle" ? 0 : random_() % 3);
    if (random_() % 2 == 0) faults.crash_kind = CrashKind::kKill;
    if (random_() % 6 == 0) faults.capacity_bytes = 150'000;
    return faults;
  }

  void LiveOnce(SimulatedEnvironment& machine, bool last) {
    log_ = std::make_unique<TestLog>(machine, options_);
    const ResumePoint resume =
        capture_ ? ResumePoint{capture_->epoch, capture_->bytes} : ResumePoint{};
    if (!log_->Open(resume)) return;
    ASSERT_FALSE(log_->error) << log_->error->ToString();
    CheckAll(machine);
    using env::simulated::Operation;
    if (!last && KeepsAll() && random_() % 3 == 0)
      machine.faults()[Operation::kSyncFolder].number =
          machine.operations(Operation::kSyncFolder) + 1 + random_() % 12;
    const int steps = last ? 0 : 150;
    for (int i = 0; i < steps && !machine.crashed(); ++i) Act(machine);
    if (!machine.crashed() && random_() % 3 == 0) CheckAll(machine);
    if (!machine.crashed() && random_() % 3 == 0) log_->sequencer->Stop();
  }

  bool KeepsAll() const {
    return options_.residue_bytes_max == RetainOptions().residue_bytes_max &&
           options_.residue_keep == RetainOptions().residue_keep;
  }

  void Act(SimulatedEnvironment& machine) {
    const uint64_t what = random_() % 10;
    if (what < 6) {
      Send(machine);
    } else if (what == 6) {
      const std::string name = "definition-" + std::to_string(++definitions_sent_);
      const auto epoch = log_->Append({ControlEntry::Kind::kDefinition, name, {1, 2, 3}});
      if (epoch) definitions_.push_back(name);
      if (!KeepsAll()) Plan();
    } else if (what == 7) {
      auto capture = log_->Capture();
      if (capture) capture_ = std::move(*capture);
    } else if (what == 8 && capture_) {
      log_->sequencer->Retain({capture_->epoch.Next().value -
                               std::min<uint64_t>(capture_->epoch.value, random_() % 3)});
    } else {
      machine.RunFor(std::chrono::milliseconds(random_() % 20));
    }
  }

  void Plan() {
    const int plan = ++plans_sent_;
    const std::string table = plan % 3 == 0 ? "a" : "b";
    const auto epoch =
        log_->Append({ControlEntry::Kind::kPublishPlan,
                      table,
                      {static_cast<uint8_t>(plan / 256), static_cast<uint8_t>(plan % 256)}});
    if (epoch) plans_[table] = plan;
  }

  void Send(SimulatedEnvironment& machine) {
    (void)machine;
    const uint64_t last = log_->sequencer->LastSequence(log_->stream, "p");
    if (last >= sent_.size()) {
      Sent batch;
      for (uint64_t i = 1 + random_() % 40; i > 0; --i)
        batch.rows.push_back({last > 0 && random_() % 5 == 0 ? kLateRow : 1'000, ++id_});
      sent_.push_back(std::move(batch));
    }
    Sent& batch = sent_[last];
    const auto answer = log_->Submit(batch.rows, "p", last + 1);
    if (!answer) {
      EXPECT_NE(answer.error().code(), ErrorCode::kInternal);
      return;
    }
    batch.answer = *answer;
  }

  void CheckAll(SimulatedEnvironment& machine) {
    if (log_->sequencer->status().read_only) return;
    CheckAnswers();
    const auto reader = LogReader::Open(machine, "data");
    if (!reader) return;  // dead
    const auto first = (*reader)->First();
    const auto newest = (*reader)->Newest();
    if (machine.crashed()) return;
    ASSERT_TRUE(first && newest) << first.error().ToString();
    const LogStatus status = log_->sequencer->status();
    EXPECT_EQ(status.segments, SegmentsOf(machine).size());
    CheckRows(**reader, *first, *newest);
    // On a full disk the mark of the newest epoch may be missing.
    if (*newest == status.durable) CheckRefused(machine, status);
    if (*first > EpochId{1} && !machine.crashed()) CheckWhatWent(machine, **reader, *first);
  }

  void CheckAnswers() {
    const uint64_t last = log_->sequencer->LastSequence(log_->stream, "p");
    for (uint64_t sequence = 1; sequence <= std::min<uint64_t>(last, sent_.size()); ++sequence) {
      const Sent& batch = sent_[sequence - 1];
      if (!batch.answer || random_() % 8 != 0) continue;
      const auto again = log_->Submit(batch.rows, "p", sequence);
      if (!again) continue;  // died
      EXPECT_EQ(again->repeat, Acknowledgement::Repeat::kRepeated);
      EXPECT_EQ(again->epoch, batch.answer->epoch);
      EXPECT_EQ(again->accepted, batch.answer->accepted);
      EXPECT_EQ(again->refused, batch.answer->refused);
    }
    for (uint64_t sequence = last + 1; sequence <= sent_.size(); ++sequence)
      EXPECT_FALSE(sent_[sequence - 1].answer) << "an acknowledged batch is unknown";
  }

  void CheckRows(LogReader& reader, EpochId first, EpochId newest) {
    std::multiset<int64_t> found;
    EpochId next = first;
    const auto scanned = reader.Scan(first, newest, [&](const EpochRef& epoch) {
      EXPECT_EQ(epoch->id, next);
      next = next.Next();
      for (const int64_t id : IdsOf(*epoch)) found.insert(id);
      return base::Result<void>();
    });
    if (!scanned) {
      EXPECT_NE(scanned.error().code(), ErrorCode::kCorruption) << scanned.error().ToString();
      return;
    }
    for (const Sent& batch : sent_) {
      if (!batch.answer || batch.answer->epoch < first || batch.answer->epoch > newest) continue;
      for (const TestRow& row : batch.rows)
        EXPECT_EQ(found.count(row.id), row.at_s == kLateRow ? 0U : 1U) << row.id;
    }
  }

  void CheckRefused(SimulatedEnvironment& machine, const LogStatus& status) {
    auto shown = ReadRefused(machine);
    if (machine.crashed()) return;
    ASSERT_TRUE(shown) << shown.error().ToString();
    EXPECT_TRUE(std::ranges::is_sorted(shown->epochs));
    std::set<int64_t> refused;
    for (const std::string& payload : shown->refused) refused.insert(IdIn(payload));
    EXPECT_EQ(refused.size(), shown->refused.size()) << "a refused row twice";
    forgotten_ = status.refused_forgotten;
    uint64_t missing = 0;
    for (const Sent& batch : sent_)
      for (const TestRow& row : batch.rows)
        if (batch.answer && row.at_s == kLateRow && !refused.contains(row.id)) ++missing;
    EXPECT_LE(missing, status.refused_forgotten);
    EXPECT_EQ(status.rows_refused, shown->refused.size() + status.refused_forgotten);
    auto from = shown->definitions.begin();
    for (const std::string& name : definitions_) {
      from = std::find(from, shown->definitions.end(), name);
      ASSERT_NE(from, shown->definitions.end()) << name << " is gone";
    }
    for (const auto& [table, plan] : plans_)
      EXPECT_GE(shown->plans[table], plan) << "the newest plan of " << table << " is gone";
  }

  static int64_t IdIn(const std::string& payload) {
    const std::string_view field = "\"id\":";
    return std::stoll(payload.substr(payload.find(field) + field.size()));
  }

  // Says so, and names the first epoch that is held.
  void CheckWhatWent(SimulatedEnvironment& machine, LogReader& reader, EpochId first) {
    const auto scanned =
        reader.Scan({1}, kFarAhead, [](const EpochRef&) { return base::Result<void>(); });
    if (machine.crashed()) return;
    ASSERT_FALSE(scanned);
    EXPECT_EQ(scanned.error().code(), ErrorCode::kFailedPrecondition);
    EXPECT_NE(scanned.error().message().find(std::to_string(first.value)), std::string::npos);
  }

  std::mt19937_64 random_;
  const LogOptions options_;
  std::unique_ptr<TestLog> log_;
  std::vector<Sent> sent_;
  std::vector<std::string> definitions_;
  uint64_t definitions_sent_ = 0;
  std::map<std::string, int> plans_;  // likewise, acknowledged
  int plans_sent_ = 0;
  int64_t id_ = 0;
  std::optional<StateCapture> capture_;  // stored durably, outside of this disk
  uint64_t forgotten_ = 0;
  std::string previous_point_;
};

TEST_F(Retain, RefusedRowsDefinitionsAndAnswersOutliveTheSegments) {
  std::set<std::string> crashed_at;
  for (uint64_t seed = 1; seed <= 120 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RetainedLog log(seed, RetainOptions());
    log.Live(crashed_at);
    EXPECT_EQ(log.forgotten(), 0U);
  }
  for (const std::string_view point : env::kCrashPoints) {
    const bool here = point.starts_with("retain.") && point.find("forget") == point.npos;
    EXPECT_TRUE(!here || crashed_at.contains(std::string(point)))
        << point << " was never crashed at";
  }
}

TEST_F(Retain, BeyondItsLimitResidueForgetsTheOldestRefusedRowsAndCountsThem) {
  std::set<std::string> crashed_at;
  uint64_t forgotten = 0;
  for (uint64_t seed = 1; seed <= 80 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    LogOptions options = RetainOptions();
    if (seed % 2 == 0) {
      options.residue_bytes_max = 3'000;
    } else {
      options.residue_keep = base::Duration(std::chrono::milliseconds(200));
    }
    RetainedLog log(seed, options);
    log.Live(crashed_at);
    forgotten += log.forgotten();
  }
  EXPECT_GT(forgotten, 0U);
  EXPECT_TRUE(crashed_at.contains("retain.before_forget"));
  EXPECT_TRUE(crashed_at.contains("retain.after_forget"));
}

// Fills a log of the given capacity until it refuses.
void Fill(TestLog& log) {
  for (int64_t id = 1; id < 10'000; ++id) {
    const auto answer = log.Submit(std::vector<TestRow>(50, {1'000, id}));
    if (answer) continue;
    EXPECT_EQ(answer.error().code(), ErrorCode::kStorageFull) << answer.error().ToString();
    return;
  }
  FAIL() << "it never became full";
}

TEST_F(Retain, AFullDiskTakesControlEntriesAndGoesOnOnceSegmentsWent) {
  for (const bool by_disk : {true, false}) {
    SCOPED_TRACE(by_disk ? "disk" : "log_bytes_max");
    Faults faults;
    LogOptions options = RetainOptions();
    if (by_disk) {
      faults.capacity_bytes = 200'000;
    } else {
      options.log_bytes_max = 200'000;
    }
    SimulatedEnvironment machine(11, faults);
    TestLog log(machine, options);
    ASSERT_TRUE(log.Open());
    for (int round = 0; round < 5; ++round) {
      Fill(log);
      const auto planned = log.Append({ControlEntry::Kind::kPublishPlan, "table", {1}});
      ASSERT_TRUE(planned) << planned.error().ToString();
      const uint64_t before = log.sequencer->status().log_bytes;
      const auto capture = log.Capture();
      ASSERT_TRUE(capture) << capture.error().ToString();
      log.sequencer->Retain(capture->epoch.Next());
      ASSERT_TRUE(machine.RunUntilIdle());
      EXPECT_LT(log.sequencer->status().log_bytes, before / 2);
      EXPECT_EQ(log.sequencer->status().segments, 1U);
      const auto answer = log.Submit({{1'000, 1}});
      ASSERT_TRUE(answer) << answer.error().ToString();
    }
  }
}

// It copies on write: a start needs space for the record that it writes once more.
TEST_F(Retain, AStartOnAFullDiskTakesTheReserve) {
  const std::string reserve = "data/retention.reserve";
  for (const bool has_reserve : {true, false}) {
    SCOPED_TRACE(has_reserve);
    auto machine = std::make_unique<SimulatedEnvironment>(16);
    {
      TestLog log(*machine, RetainOptions());
      ASSERT_TRUE(log.Open());
      for (int64_t id = 1; id < 10; ++id) ASSERT_TRUE(log.Submit({{1'000, id}}));
      log.sequencer->Retain({1});  // nothing; from now on there is a reserve
      ASSERT_TRUE(machine->RunUntilIdle());
      machine->Crash(CrashKind::kKill);
    }
    machine = machine->Reboot(17);
    ASSERT_TRUE(*machine->files().Exists(reserve));
    if (!has_reserve) {
      ASSERT_TRUE(machine->files().Remove(reserve));
    }
    (void)machine->files().Remove("data/next.segment");
    machine->faults().capacity_bytes = machine->disk().used_bytes();
    machine->faults().copies_on_write = true;
    TestLog log(*machine, RetainOptions());
    ASSERT_TRUE(log.Open());
    ASSERT_EQ(log.error.has_value(), !has_reserve)
        << (log.error ? log.error->ToString() : "opened");
    if (!has_reserve) {
      EXPECT_EQ(log.error->code(), ErrorCode::kStorageFull);
      continue;
    }
    EXPECT_FALSE(*machine->files().Exists(reserve));
    EXPECT_EQ(log.recovered_ids.size(), 9U);
    machine->faults().capacity_bytes += 100'000;
    ASSERT_TRUE(machine->RunFor(std::chrono::seconds(2)));
    EXPECT_TRUE(log.Submit({{1'000, 10}}));
    log.sequencer->Retain({1});
    ASSERT_TRUE(machine->RunUntilIdle());
    EXPECT_TRUE(*machine->files().Exists(reserve)) << "it is held again";
  }
}

// Whoever reads the log from its first epoch on must find it there, though what nobody needed a
// moment ago is on its way out.
TEST_F(Retain, AHoldTakesBackWhatMayGo) {
  SimulatedEnvironment machine(13);
  TestLog log(machine, RetainOptions());
  ASSERT_TRUE(log.Open());
  for (int64_t id = 1; id < 200; ++id) ASSERT_TRUE(log.Submit({{1'000, id}}));
  std::optional<EpochId> held;
  log.sequencer->Retain({150});
  log.sequencer->Hold([&](EpochId first) { held = first; });
  ASSERT_TRUE(machine.RunUntilIdle());
  ASSERT_TRUE(held);
  EXPECT_LT(*held, EpochId{100});
  EXPECT_EQ(log.sequencer->status().first, *held);
  log.sequencer->Retain({180});
  ASSERT_TRUE(machine.RunUntilIdle());
  EXPECT_EQ(log.sequencer->status().first, *held);
  log.sequencer->LetGo();
  ASSERT_TRUE(machine.RunUntilIdle());
  EXPECT_GT(log.sequencer->status().first, EpochId{150});
}

TEST_F(Retain, WithoutACaptureThatCoversWhatWentTheLogSaysWhichEpochsAreMissing) {
  SimulatedEnvironment machine(12);
  std::optional<StateCapture> early;
  std::optional<StateCapture> late;
  {
    TestLog log(machine, RetainOptions());
    ASSERT_TRUE(log.Open());
    ASSERT_TRUE(log.Submit({{1'000, 1}}));
    early = *log.Capture();
    for (int64_t id = 1; id < 200; ++id) ASSERT_TRUE(log.Submit({{1'000, id}}));
    late = *log.Capture();
    log.sequencer->Retain({150});
    ASSERT_TRUE(machine.RunUntilIdle());
    EXPECT_GT(log.sequencer->status().first, EpochId{100});
  }
  const std::vector<std::string> before = SegmentsOf(machine);
  for (const ResumePoint& resume : {ResumePoint{}, ResumePoint{early->epoch, early->bytes}}) {
    TestLog log(machine, RetainOptions());
    ASSERT_TRUE(log.Open(resume));
    ASSERT_TRUE(log.error);
    EXPECT_EQ(log.error->code(), ErrorCode::kFailedPrecondition);
    EXPECT_NE(log.error->message().find("no usable snapshot"), std::string::npos);
  }
  EXPECT_EQ(SegmentsOf(machine), before);
  // A segment that no residue speaks for was lost, not let go.
  ASSERT_TRUE(machine.files().Remove(SegmentsOf(machine).front()));
  TestLog lost(machine, RetainOptions());
  ASSERT_TRUE(lost.Open({late->epoch, late->bytes}));
  ASSERT_TRUE(lost.error);
  EXPECT_EQ(lost.error->code(), ErrorCode::kCorruption);
}

TEST_F(Retain, EveryBitOfAResidueIsGuarded) {
  SimulatedEnvironment machine(13);
  std::optional<StateCapture> capture;
  {
    TestLog log(machine, RetainOptions());
    ASSERT_TRUE(log.Open());
    for (int64_t id = 1; id < 100; ++id)
      ASSERT_TRUE(log.Submit({{1'000, id}, {id > 1 ? kLateRow : 1'000, -id}}));
    capture = *log.Capture();
    log.sequencer->Retain(capture->epoch.Next());
    ASSERT_TRUE(machine.RunUntilIdle());
  }
  std::string path;
  const std::vector<std::string> names = *machine.files().List("data");
  for (const std::string& name : names)
    if (name.starts_with("residue-")) path = "data/" + name;
  ASSERT_FALSE(path.empty());
  ASSERT_TRUE(ReadRefused(machine));
  std::mt19937_64 random(3);
  for (int i = 0; i < 200; ++i) {
    const uint64_t offset = random() % machine.disk().Find(path)->size();
    const int bit = static_cast<int>(random() % 8);
    machine.disk().FlipBit(path, offset, bit);
    const auto shown = ReadRefused(machine);
    ASSERT_FALSE(shown) << offset;
    EXPECT_EQ(shown.error().code(), ErrorCode::kCorruption);
    machine.disk().FlipBit(path, offset, bit);
  }
}

// It would have been taken in by the next.
TEST_F(Retain, ADamagedSmallResidueIsPassedByAndTold) {
  LogOptions options = RetainOptions();
  options.segment_bytes = 32 << 10;
  SimulatedEnvironment machine(14);
  TestLog log(machine, options);
  ASSERT_TRUE(log.Open());
  const auto fill = [&](int64_t first, int64_t end) {
    for (int64_t id = first; id < end; ++id) ASSERT_TRUE(log.Submit({{1'000, id}}));
  };
  const auto first_residue = [&]() -> std::string {
    const std::vector<std::string> names = *machine.files().List("data");
    for (const std::string& name : names)
      if (name.starts_with("residue-")) return "data/" + name;
    return "";
  };
  ASSERT_TRUE(log.Submit({{1'000, 1}, {kLateRow, -1}}));
  fill(2, 150);
  log.sequencer->Retain({EpochId{100}});
  ASSERT_TRUE(machine.RunUntilIdle());
  const std::string damaged = first_residue();
  ASSERT_FALSE(damaged.empty());
  ASSERT_LT(machine.disk().Find(damaged)->size(), options.segment_bytes / 16);
  EXPECT_TRUE(log.sequencer->status().retention_error.empty());
  machine.disk().FlipBit(damaged, machine.disk().Find(damaged)->size() - 100, 3);

  fill(150, 400);
  log.sequencer->Retain({EpochId{390}});
  ASSERT_TRUE(machine.RunUntilIdle());
  const LogStatus status = log.sequencer->status();
  EXPECT_GT(status.first, EpochId{300});
  EXPECT_NE(status.retention_error.find(damaged), std::string::npos) << status.retention_error;
  EXPECT_EQ(first_residue(), damaged) << "it stays to be mended from a copy";
  const auto capture = log.Capture();
  ASSERT_TRUE(capture);
  log.sequencer.reset();
  TestLog again(machine, options);
  ASSERT_TRUE(again.Open({capture->epoch, capture->bytes}));
  EXPECT_FALSE(again.error) << again.error->ToString();
}

// By path, with their bytes.
std::map<std::string, uint64_t> ResiduesOf(SimulatedEnvironment& machine) {
  std::map<std::string, uint64_t> bytes;
  const std::vector<std::string> names = *machine.files().List("data");
  for (const std::string& name : names)
    if (name.starts_with("residue-"))
      bytes["data/" + name] = machine.disk().Find("data/" + name)->size();
  return bytes;
}

// Be it full of refused rows or one of those in which definitions were left.
TEST_F(Retain, TrimmingPassesByDamagedResidues) {
  LogOptions options = RetainOptions();
  options.residue_bytes_max = 12'000;
  SimulatedEnvironment machine(15);
  TestLog log(machine, options);
  ASSERT_TRUE(log.Open());
  int64_t next = 1;
  const auto let_go = [&](TestLog& of, int64_t batches) {
    for (const int64_t end = next + batches; next < end; ++next)
      ASSERT_TRUE(of.Submit({{1'000, next}, {next > 1 ? kLateRow : 1'000, -next}}));
    ASSERT_TRUE(of.Append({ControlEntry::Kind::kDefinition, "d" + std::to_string(next), {1}}));
    of.sequencer->Retain(of.sequencer->status().durable.Next());
    ASSERT_TRUE(machine.RunUntilIdle());
  };
  const auto damage = [&] {
    const std::string path = ResiduesOf(machine).begin()->first;
    machine.disk().FlipBit(path, machine.disk().Find(path)->size() - 100, 3);
    return path;
  };
  const auto whole_bytes = [&](const std::set<std::string>& damaged) {
    uint64_t bytes = 0;
    for (const auto& [path, size] : ResiduesOf(machine)) bytes += damaged.contains(path) ? 0 : size;
    return bytes;
  };

  let_go(log, 40);
  ASSERT_EQ(log.sequencer->status().refused_forgotten, 0U);
  std::set<std::string> damaged = {damage()};
  let_go(log, 200);
  LogStatus status = log.sequencer->status();
  EXPECT_NE(status.retention_error.find(*damaged.begin()), std::string::npos)
      << status.retention_error;
  EXPECT_EQ(status.segments, 1U);
  EXPECT_GT(status.refused_forgotten, 100U);
  EXPECT_GT(status.refused_from, EpochId{100});
  EXPECT_LE(whole_bytes(damaged), options.residue_bytes_max);
  EXPECT_TRUE(ResiduesOf(machine).contains(*damaged.begin())) << "it stays to be mended";

  const auto capture = log.Capture();
  ASSERT_TRUE(capture);
  log.sequencer.reset();
  TestLog again(machine, options);
  ASSERT_TRUE(again.Open({capture->epoch, capture->bytes}));
  ASSERT_FALSE(again.error) << again.error->ToString();
  EXPECT_EQ(again.sequencer->status().refused_forgotten, status.refused_forgotten);
  EXPECT_EQ(again.sequencer->status().refused_from, status.refused_from);

  // What lies behind is all there.
  const auto reader = LogReader::Open(machine, "data");
  ASSERT_TRUE(reader);
  uint64_t held = 0;
  ASSERT_TRUE((*reader)->ScanRefused(status.refused_from, kFarAhead, [&](const EpochRef& epoch) {
    for (const StreamRejects& rejects : epoch->rejects) held += rejects.rows.size();
    return base::Result<void>();
  }));
  EXPECT_EQ(held + status.refused_forgotten, again.sequencer->status().rows_refused);

  const std::string definitions = std::next(ResiduesOf(machine).begin())->first;
  machine.disk().FlipBit(definitions, machine.disk().Find(definitions)->size() - 100, 3);
  damaged.insert(definitions);
  let_go(again, 200);
  status = again.sequencer->status();
  EXPECT_NE(status.retention_error.find(definitions), std::string::npos) << status.retention_error;
  EXPECT_GT(status.refused_forgotten, 300U);
  EXPECT_LE(whole_bytes(damaged), options.residue_bytes_max);
  for (const std::string& path : damaged) EXPECT_TRUE(ResiduesOf(machine).contains(path)) << path;
}

}  // namespace
}  // namespace headrace::log
