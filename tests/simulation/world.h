#pragma once
// One simulated history: producers send payments to an engine that dies and comes back, and an
// independent record says what must be true afterwards.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "env/simulated/environment.h"
#include "wiring/engine.h"

namespace headrace::simulation {

// What a run did, for the report; and what went wrong, empty when nothing did.
struct Outcome {
  std::string failure;
  uint64_t lives = 0;
  uint64_t acknowledged_rows = 0;
  uint64_t repeated_batches = 0;
  uint64_t answers_checked = 0;
  env::MonotonicTime simulated{0};
  std::map<std::string, uint64_t> crash_point_visits;
  uint64_t trace_hash = 0;
};

// Everything follows from the seed: two runs of one seed give the same outcome, trace hash
// included.
class World {
 public:
  explicit World(uint64_t seed);
  ~World();
  Outcome Run();

 private:
  // A payment as the record keeps it.
  struct Row {
    int64_t id;
    int64_t card;
    double amount;
    int64_t paid_at_us;
    bool broken;  // the contract refuses it
  };
  struct Batch {
    uint64_t sequence;
    std::vector<Row> rows;
  };
  struct Producer {
    std::string name;
    uint64_t next_sequence = 1;
    std::optional<Batch> unanswered;  // sent and not answered: sent again after a crash
    bool waiting = false;
  };

  bool Failed() const { return !outcome_.failure.empty(); }
  void Fail(std::string what);
  env::simulated::Faults PlanFaults();
  void StartLife();
  void EndLife();
  void LiveOnce();
  void Send(Producer& producer);
  Batch MakeBatch(Producer& producer);
  columns::EventBatch ToEventBatch(const Producer& producer, const Batch& batch) const;
  void OnAnswer(Producer& producer, base::Result<log::Acknowledgement> ack);
  void Drain();
  void CheckAnswers();
  void CheckLog();
  void CheckTable();
  void CheckRows(const char* where, const std::map<int64_t, uint64_t>& counts);

  const uint64_t seed_;
  std::mt19937_64 random_;
  pipeline::PipelineRef definition_;
  std::unique_ptr<env::simulated::SimulatedEnvironment> machine_;
  std::unique_ptr<wiring::Core> core_;
  std::vector<Producer> producers_;
  int64_t next_id_ = 1;
  int64_t now_us_;                   // event time goes on by this
  std::map<int64_t, Row> sent_;      // every good row that was ever sent
  std::set<int64_t> acknowledged_;   // ids that must be there exactly once
  std::set<int64_t> refused_;        // ids that must not be there
  std::map<int64_t, Row> accepted_;  // as the log has them, filled by CheckLog
  std::vector<std::string> errors_;  // error-level log lines of this run
  Outcome outcome_;
};

}  // namespace headrace::simulation
