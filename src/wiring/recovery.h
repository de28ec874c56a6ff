#pragma once
// How a core comes back: from the newest snapshot that can be used, and the log after it.
//
// 1. Snapshots are tried from the newest on. One that is damaged, was taken of other tables, or is
//    ahead of the log is passed over, which is said; without any the log is read whole.
// 2. The log's epochs after the snapshot go to state, publishers and dead letters as they did when
//    they were new; each leaves out what its own part of the snapshot has.
// 3. Then the log has said which definition is in force. Views of it that the snapshot lacks, as
//    they were changed or added after it, are built from their history.

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/memory_budget.h"
#include "base/result.h"
#include "env/environment.h"
#include "log/sequencer.h"
#include "pipeline/logged_definition.h"
#include "pipeline/views/view_set.h"
#include "wiring/dead_letters.h"
#include "wiring/engine.h"
#include "wiring/source_positions.h"
#include "wiring/table_publishers.h"

namespace headrace::wiring {

inline std::string LogFolder(const CoreOptions& options) { return options.data_folder + "/log"; }
inline std::string SnapshotFolder(const CoreOptions& options) {
  return options.data_folder + "/snapshots";
}

// What is derived from the log and held in memory.
struct Derived {
  std::unique_ptr<pipeline::ViewSet> views;
  std::unique_ptr<TablePublishers> publishers;
  std::unique_ptr<DeadLetters> dead_letters;
  std::unique_ptr<SourcePositions> sources;
  std::optional<pipeline::LoggedDefinition> logged;  // the one that the log names last
  std::map<std::string, base::StreamId> streams;     // that the log knows
};

// What is in force after a start with the file `started` on a log that named `logged` last: the
// file's definition; but what was applied since a start brought that very file stays in force.
pipeline::LoggedDefinition StandingAt(const pipeline::PipelineRef& started,
                                      const std::optional<pipeline::LoggedDefinition>& logged);

struct Recovered {
  Derived derived;
  std::unique_ptr<log::Sequencer> sequencer;
  log::ClockFloor clock_floor;  // the sequencer's clock is not behind it, nor may any other be
  StartFigures figures;
  pipeline::LoggedDefinition standing;  // in force
};

// Errors: as log::Sequencer::Open; kFailedPrecondition when the log does not reach back to its
// beginning any more and no snapshot can be used.
base::Result<Recovered> RecoverCore(env::Environment& environment, base::MemoryBudget& budget,
                                    const CoreOptions& options);

}  // namespace headrace::wiring
