#pragma once
// One simulated history: producers send payments to an engine that dies and comes back on a machine
// that fails it, readers ask it, and an independent record says what must be true afterwards.

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/log.h"
#include "env/simulated/environment.h"
#include "simulation/http_front.h"
#include "simulation/record.h"
#include "simulation/script.h"
#include "wiring/engine.h"
#include "wiring/table_scans.h"

namespace headrace::simulation {

// What a run did, for the report; and what went wrong, empty when nothing did.
struct Outcome {
  std::string failure;
  uint64_t lives = 0;
  uint64_t acknowledged_rows = 0;
  uint64_t repeated_batches = 0;
  uint64_t answers_checked = 0;
  uint64_t scans_checked = 0;
  env::MonotonicTime simulated{0};
  std::map<std::string, uint64_t> crash_point_visits;
  std::map<std::string, uint64_t> crashed_at;  // points at which a life ended
  env::simulated::FaultCounts faults;
  uint64_t trace_hash = 0;
};

// Everything follows from the script: two runs of one script give the same outcome, trace hash
// included.
class World {
 public:
  explicit World(Script script);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Outcome Run();

  // After a Run: the machine, its engine stopped cleanly.
  env::simulated::SimulatedEnvironment& machine() { return *machine_; }
  // The checks of Run on another machine: what is wrong there, or how it refused. For damaged
  // copies of the disk.
  struct Inspection {
    std::optional<std::string> wrong;   // a promise is broken: a row or an answer
    std::vector<base::Error> refusals;  // what start, log, table and answers said
    std::vector<std::string> warnings;  // log lines at warning level and above
    bool started = false;
  };
  Inspection Inspect(env::simulated::SimulatedEnvironment& machine);
  // Of the life under way so far, by kind of operation; for the sweeps.
  uint64_t operations_of_first_life(env::simulated::Operation operation) const {
    return operations_[static_cast<size_t>(operation)];
  }
  uint64_t changes_of_first_life() const { return changes_; }

 private:
  enum class Source : uint8_t { kSequence, kKey, kNone };
  struct Producer {
    std::string name;
    Source source;
    uint64_t next_sequence = 1;
    std::deque<Batch> batches;  // sent and not yet answered, oldest first; then the last answered
    std::deque<Batch> answered;
    enum class Way : uint8_t { kDirect, kHttp } way = Way::kDirect;
    bool away = false;
  };

  bool Failed() const { return !outcome_.failure.empty(); }
  void Fail(std::string what);
  void FailIf(const Record::Finding& finding);
  void OnLogLine(const base::LogLine& line);
  // True: something was done to this life that may make it refuse.
  bool MayRefuse() const;

  void LiveOnce();
  void StartLife();
  void EndLife();
  void TakeLeave();  // how a life ends that nothing killed
  void CloseLife();  // sums up what the machine saw
  void Turn();
  void Burst();
  void Quiet(std::chrono::seconds span);
  void FullDisk();
  void ExpectProgress();
  // Lets time pass until `done` holds, up to a limit.
  bool Within(const std::function<bool()>& done);
  void StepClock();
  void Ask();
  // When a question was asked.
  struct AskedAt {
    int64_t true_us;
    base::Timestamp last_as_of;  // of the answers so far
  };
  void OnAsked(base::Result<Asked> asked, const AskedAt& at);
  // What the wall clock would say had nobody stepped it.
  int64_t TrueTime() const;
  void LookAtLog();
  void Scan();  // begins one, or reads a piece of the one under way
  void BeginScan();
  void ReadScan();
  void EndScan();  // of this life, however far it is
  void CheckScans(std::vector<LoggedRow> table);
  void Drain();

  Batch MakeBatch(Producer& producer);
  void Send(Producer& producer);
  void SendAgain(Producer& producer);
  void SendOutOfOrder(Producer& producer);
  void Submit(Producer& producer, Batch& batch);
  void OnAnswer(Producer& producer, uint64_t sequence, const std::string& key,
                base::Result<log::Acknowledgement> ack);
  Batch* Find(Producer& producer, uint64_t sequence, const std::string& key);
  int64_t NextEventTime();

  void Change();
  void OnChangeAnswered(const base::Result<std::string>& begun);
  void CheckChange();  // of the life under way: it did not fail for nothing
  void LastChange();
  void Vacuum();
  void Replay();
  void LastReplay();  // all that is late comes in, and nothing comes in again
  void ForeignCommit();
  void FlipBitOnCopy();
  // Runs what is no part of the engine: the machine's faults leave it alone.
  void Undisturbed(const std::function<void()>& what);

  wiring::CoreOptions Options() const;
  base::Result<std::vector<LoggedRow>> ReadLog(env::Environment& environment) const;
  base::Result<std::vector<LoggedRow>> ReadTable(env::Environment& environment,
                                                 uint64_t& foreign) const;
  base::Result<Asked> AskCore(wiring::Core& core, int64_t card) const;
  void CheckLog();
  void CheckTable();
  void CheckKnownAt(std::vector<LoggedRow> rows);
  void CheckAnswers();
  void CheckDeadLetters();

  const Script script_;
  std::mt19937_64 random_;
  const Shape shape_;
  std::mt19937_64 scan_random_;  // of its own: scans draw nothing of what else happens
  pipeline::PipelineRef definition_;
  std::unique_ptr<env::simulated::SimulatedEnvironment> machine_;
  std::unique_ptr<wiring::Core> core_;
  std::unique_ptr<HttpFront> front_;  // goes before the core
  std::vector<Producer> producers_;
  Record record_;
  // A scan that is read piece by piece while everything else goes on.
  struct ScanRun {
    std::unique_ptr<wiring::TableScan> scan;
    tables::ScanRequest request;
    std::optional<int64_t> card;  // whose rows are asked for
    base::EpochId epoch;
    std::vector<LoggedRow> rows;
  };
  ScanRun scan_;                // goes before the core
  std::vector<ScanRun> scans_;  // that were read to the end
  int64_t next_id_ = 1;
  int64_t foreign_rows_ = 0;
  uint64_t foreign_compactions_ = 0;
  int64_t now_us_;              // event time goes on by this under `clock: events`
  base::Duration wall_off_{0};  // how far the wall clock was stepped away from the truth
  base::Timestamp last_as_of_ = base::Timestamp::Min();  // of all lives
  bool clock_is_off_ = false;  // the log clock may have followed it at a start
  bool is_full_ = false;
  std::vector<std::string>* warnings_ = nullptr;  // of an inspection under way
  std::array<uint64_t, env::simulated::kOperations> operations_{};
  bool evolved_ = false;  // a change with the contract of after was asked for
  uint64_t changes_ = 0;
  std::vector<std::string> errors_;  // unexpected log lines of this run
  Outcome outcome_;
};

}  // namespace headrace::simulation
