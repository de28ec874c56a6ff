// The log under crashes, torn writes, lost folder entries, failed syncs, full disks and clock
// steps, from a seed.
//
// Senders keep their own record of what they sent and what was acknowledged. After every reboot the
// log must hold each acknowledged row once, each other row at most once, each sender's rows in the
// order of sending, and everything that a LogReader had shown.

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <set>

#include "base/log.h"
#include "env/crash_points.h"
#include "log/log_fixture.h"

namespace headrace::log {
namespace {

using env::simulated::CrashKind;
using env::simulated::Faults;
using env::simulated::SimulatedEnvironment;

constexpr int kSenders = 3;
constexpr int kLives = 5;
constexpr uint64_t kSeeds = 400;
constexpr int64_t kIdsPerSender = 1'000'000;
constexpr int64_t kLateRow = 7;  // event time of rows that must be refused

bool IsOfThisRoom(std::string_view point) {
  return point.starts_with("log.") || point.starts_with("segment.") ||
         point.starts_with("recovery.");
}

// What one batch was, and what it was told.
struct SentBatch {
  std::vector<TestRow> rows;
  std::optional<Acknowledgement> answer;
};

struct Sender {
  std::string name;
  std::vector<SentBatch> batches;  // sequence = index + 1
  uint64_t next = 0;               // index of the next to send in this life
};

class History {
 public:
  explicit History(uint64_t seed) : seed_(seed), random_(seed) {
    for (int i = 0; i < kSenders; ++i) senders_.push_back({"sender-" + std::to_string(i), {}, 0});
  }

  // All lives, the last without faults. The hash of everything that happened.
  uint64_t Live(std::set<std::string>& crashed_at) {
    auto machine = std::make_unique<SimulatedEnvironment>(random_(), DrawFaults());
    uint64_t trace = 0;
    for (int life = 0; life <= kLives; ++life) {
      const bool last = life == kLives;
      LiveOnce(*machine, last);
      if (machine->crashed()) crashed_at.insert(machine->faults().crash_point);
      trace = trace * 31 + machine->trace_hash();
      if (!last) {
        machine->Crash(random_() % 3 == 0 ? CrashKind::kKill : CrashKind::kPowerCut);
        log_.reset();
        machine = machine->Reboot(random_(), life + 1 == kLives ? Faults{} : DrawFaults());
      }
    }
    ExpectAllThere();
    log_.reset();
    return trace;
  }

 private:
  Faults DrawFaults() {
    Faults faults;
    std::vector<std::string_view> points;
    for (const std::string_view point : env::kCrashPoints)
      if (IsOfThisRoom(point)) points.push_back(point);
    faults.crash_point = random_() % 5 == 0 ? "log.after_write" : points[random_() % points.size()];
    // A tail to zero needs a torn record in the life before.
    if (previous_point_ == "log.after_write" && random_() % 2 == 0)
      faults.crash_point = std::array{"recovery.before_zero_tail", "recovery.after_zero_write",
                                      "recovery.after_zero_tail"}[random_() % 3];
    // A segment without a record as well.
    if (previous_point_ == "segment.after_rename" || previous_point_ == "segment.after_folder_sync")
      faults.crash_point = "recovery.between_names";
    previous_point_ = faults.crash_point;
    const bool rare =
        faults.crash_point.starts_with("segment.") || faults.crash_point.starts_with("recovery.");
    faults.crash_hit = 1 + (rare ? 0 : random_() % 30);
    if (random_() % 4 == 0) faults.crash_kind = CrashKind::kKill;
    if (random_() % 8 == 0) faults.fail_sync_number = 1 + random_() % 60;
    if (random_() % 8 == 0) faults.capacity_bytes = 200'000 + random_() % 400'000;
    return faults;
  }

  void LiveOnce(SimulatedEnvironment& machine, bool last) {
    read_only_expected_ = machine.faults().fail_sync_number > 0;
    LogOptions options = TestOptions();
    options.outcomes_per_producer = 10'000;  // the last life asks for every answer again
    log_ = std::make_unique<TestLog>(machine, options);
    if (!log_->Open()) return;  // died in recovery
    if (log_->error) {
      EXPECT_FALSE(last) << log_->error->ToString();
      EXPECT_NE(log_->error->code(), base::ErrorCode::kCorruption) << log_->error->ToString();
      return;
    }
    CheckRecovered();
    for (Sender& sender : senders_) {
      sender.next = log_->sequencer->LastSequence(log_->stream, sender.name);
      // Some forget what they heard, or were told and don't trust it.
      if (random_() % 4 == 0) sender.next -= std::min<uint64_t>(sender.next, random_() % 3);
    }
    const int steps = last ? 0 : 200;
    for (int i = 0; i < steps && !machine.crashed(); ++i) Act(machine);
    if (last) SendRest(machine);
    if (!machine.crashed() && random_() % 4 == 0) log_->sequencer->Stop();
  }

  void Act(SimulatedEnvironment& machine) {
    switch (random_() % 8) {
      case 0:
      case 1:
      case 2: Send(machine, senders_[random_() % kSenders]); break;
      case 3:
        machine.StepWall(std::chrono::seconds(static_cast<int64_t>(random_() % 7200) - 3600));
        break;
      case 4: ReadBeside(machine); break;
      case 5: machine.RunFor(std::chrono::milliseconds(random_() % 5)); break;
      default:
        for (int i = 0; i < 4; ++i) machine.Step();
    }
  }

  SentBatch NewBatch(size_t sender, size_t index) {
    SentBatch batch;
    const uint64_t size = random_() % 10 == 0 ? 1 + random_() % 300 : 1 + random_() % 5;
    for (uint64_t row = 0; row < size; ++row) {
      const int64_t id = static_cast<int64_t>(sender) * kIdsPerSender + next_id_++;
      const bool late = index > 0 && random_() % 20 == 0;
      batch.rows.push_back({late ? kLateRow : 1'000 + id % 10, id});
    }
    return batch;
  }

  void Send(SimulatedEnvironment& machine, Sender& sender) {
    if (sender.next == sender.batches.size())
      sender.batches.push_back(
          NewBatch(static_cast<size_t>(&sender - senders_.data()), sender.batches.size()));
    const uint64_t index = sender.next++;
    auto batch = BatchOf(log_->stream, sender.batches[index].rows, sender.name, index + 1);
    machine.Run([&] {
      log_->sequencer->Submit(std::move(batch), [this, &sender, index](const TestLog::Ack& ack) {
        Hear(sender, index, ack);
      });
    });
  }

  void Hear(Sender& sender, uint64_t index, const TestLog::Ack& ack) {
    if (!ack) {
      // Whatever is refused in order is sent again; a gap behind it is refused too.
      sender.next = std::min(sender.next, index);
      EXPECT_NE(ack.error().code(), base::ErrorCode::kInternal);
      return;
    }
    SentBatch& batch = sender.batches[index];
    if (batch.answer) {
      EXPECT_EQ(ack->repeat, Acknowledgement::Repeat::kRepeated);
      EXPECT_EQ(ack->epoch, batch.answer->epoch);
      EXPECT_EQ(ack->accepted, batch.answer->accepted);
      EXPECT_EQ(ack->refused, batch.answer->refused);
    } else {
      EXPECT_EQ(ack->accepted + ack->refused.size(), batch.rows.size());
      batch.answer = *ack;
    }
  }

  void ReadBeside(SimulatedEnvironment& machine) {
    if (machine.crashed()) return;
    auto ids = ReadIds(machine);
    if (machine.crashed() || !ids) {
      EXPECT_NE(ids ? base::ErrorCode::kIoError : ids.error().code(), base::ErrorCode::kCorruption)
          << ids.error().ToString();
      return;
    }
    EXPECT_TRUE(BeginsWith(*ids, shown_)) << "a reader saw rows go away";
    if (MarksWereWritten(machine)) {
      EXPECT_TRUE(BeginsWith(*ids, Durable())) << "a reader does not see what is durable";
    }
    shown_ = std::move(*ids);
  }

  // Otherwise a reader may see the last epoch later.
  static bool MarksWereWritten(const SimulatedEnvironment& machine) {
    return !machine.injected().contains("failed write") &&
           !machine.injected().contains("full disk");
  }

  // Of all lives so far.
  std::vector<int64_t> Durable() const {
    std::vector<int64_t> ids = log_->recovered_ids;
    for (const EpochRef& epoch : log_->durable)
      for (const int64_t id : IdsOf(*epoch)) ids.push_back(id);
    return ids;
  }

  static bool BeginsWith(const std::vector<int64_t>& all, const std::vector<int64_t>& first) {
    return all.size() >= first.size() && std::equal(first.begin(), first.end(), all.begin());
  }

  void CheckRecovered() {
    const std::vector<int64_t>& ids = log_->recovered_ids;
    EXPECT_TRUE(BeginsWith(ids, shown_)) << "what a reader had seen is gone";
    shown_ = ids;
    std::map<int64_t, int64_t> newest_of_sender;
    std::set<int64_t> present;
    for (const int64_t id : ids) {
      EXPECT_TRUE(present.insert(id).second) << "row " << id << " twice";
      int64_t& newest = newest_of_sender.try_emplace(id / kIdsPerSender, -1).first->second;
      EXPECT_LT(newest, id) << "order of a sender's rows";
      newest = id;
    }
    for (const Sender& sender : senders_)
      for (const SentBatch& batch : sender.batches)
        if (batch.answer) ExpectAcknowledged(batch, present);
  }

  static void ExpectAcknowledged(const SentBatch& batch, const std::set<int64_t>& present) {
    std::set<uint32_t> refused;
    for (const auto& row : batch.answer->refused) refused.insert(row.row);
    for (uint32_t row = 0; row < batch.rows.size(); ++row)
      EXPECT_EQ(present.contains(batch.rows[row].id), !refused.contains(row))
          << "acknowledged row " << batch.rows[row].id;
  }

  void SendRest(SimulatedEnvironment& machine) {
    for (Sender& sender : senders_) {
      sender.next = 0;
      while (sender.next < sender.batches.size()) {
        Send(machine, sender);
        ASSERT_TRUE(machine.RunUntilIdle());
      }
    }
  }

  void ExpectAllThere() {
    const std::vector<int64_t> ids = Durable();
    const std::set<int64_t> present(ids.begin(), ids.end());
    EXPECT_EQ(present.size(), ids.size());
    for (const Sender& sender : senders_)
      for (const SentBatch& batch : sender.batches) {
        ASSERT_TRUE(batch.answer);
        ExpectAcknowledged(batch, present);
      }
  }

 public:
  bool read_only_expected_ = false;

 private:
  const uint64_t seed_;
  std::mt19937_64 random_;
  std::vector<Sender> senders_;
  std::string previous_point_;
  int64_t next_id_ = 0;
  std::vector<int64_t> shown_;  // rows that somebody saw as durable
  std::unique_ptr<TestLog> log_;
};

class LogSimulation : public testing::Test {
 protected:
  void SetUp() override {
    base::SetLogSink([this](const base::LogLine& line) {
      if (line.level != base::LogLevel::kError) return;
      const bool expected =
          run_ != nullptr && run_->read_only_expected_ && line.event == "log.read_only";
      EXPECT_TRUE(expected) << line.event << " " << line.fields;
    });
  }
  void TearDown() override { base::SetLogSink({}); }
  uint64_t Live(uint64_t seed, std::set<std::string>& crashed_at) {
    History run(seed);
    run_ = &run;
    const uint64_t trace = run.Live(crashed_at);
    run_ = nullptr;
    return trace;
  }
  History* run_ = nullptr;
};

TEST_F(LogSimulation, AcknowledgedRowsSurviveEverythingOnceAndInOrder) {
  std::set<std::string> crashed_at;
  for (uint64_t seed = 1; seed <= kSeeds && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Live(seed, crashed_at);
  }
  for (const std::string_view point : env::kCrashPoints)
    EXPECT_TRUE(!IsOfThisRoom(point) || crashed_at.contains(std::string(point)))
        << point << " was never crashed at";
}

TEST_F(LogSimulation, TheSameSeedGivesTheSameRun) {
  std::set<std::string> ignored;
  for (const uint64_t seed : {3, 14, 159}) EXPECT_EQ(Live(seed, ignored), Live(seed, ignored));
}

}  // namespace
}  // namespace headrace::log
