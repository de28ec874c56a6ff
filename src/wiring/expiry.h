#pragma once
// Lets state go while memory is full. Rows are refused then, so no epoch comes; and without one the
// clock of the state stands still, nothing in it grows old, what readers held stays, and it would
// stay full. So each second until there is room an empty epoch is sealed, and less often, down to
// one a minute, while that frees nothing; under `clock: events`, where time stands still without
// rows, only what was held is freed.

#include <memory>
#include <mutex>
#include <string>

#include "base/memory_budget.h"
#include "env/environment.h"
#include "log/sequencer.h"
#include "pipeline/definition.h"
#include "wiring/applier.h"

namespace headrace::wiring {

class Expiry {
 public:
  static constexpr env::MonotonicTime kEvery = std::chrono::seconds(1);
  static constexpr env::MonotonicTime kSeldom = std::chrono::minutes(1);

  // Begins at once: the log accepts. All but the definition outlive it.
  Expiry(env::Environment& environment, log::Sequencer& sequencer, Applier& applier,
         const base::MemoryBudget& budget, const pipeline::PipelineDefinition& definition);
  ~Expiry();
  // Idempotent.
  void Close();

 private:
  void LookAgain();
  void MakeRoom();

  env::Environment& environment_;
  log::Sequencer& sequencer_;
  Applier& applier_;
  const base::MemoryBudget& budget_;
  const std::string stream_;  // "": time stands still without rows
  // On its executor: when to look again, and what was free when room was made last.
  env::MonotonicTime wait_ = kEvery;
  uint64_t spare_ = 0;
  std::mutex mutex_;  // guards what follows
  std::unique_ptr<env::Executor> executor_;
};

}  // namespace headrace::wiring
