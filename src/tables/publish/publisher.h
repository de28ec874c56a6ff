#pragma once
// The actor that turns durable epochs into versions of a table, one plan at a time:
//
//   1. log the plan (after, last];                              crash: nothing happened, or 2 is
//   done at the next start
//   2. write its data files, named from the plan, and sync them; crash: they are written again,
//   with the same bytes
//   3. commit them with the marker `last`, by put-if-absent;    crash: the marker tells whether it
//   happened
//   4. only then think about the next plan.
//
// What was committed is known only from the marker inside the table. At a start it is held against
// the last plan in the log: a marker behind the plan before it, or ahead of the last one, means
// that table or log was restored from a backup; then, and when somebody else changed the table so
// that it can't be appended to, the publisher stops and says why, and everything else goes on.
//
// A plan's rows are of the schema that the log had given the stream at its last epoch, in every
// life: the commit that has the first rows of a new schema changes the table's columns.
//
// Beside the commits, on a background executor of its own, runs the upkeep of the table's log: one
// piece of work at a time, of which a failure is a warning line and costs nothing else. On a third
// one the table's files are rewritten and vacuumed (maintenance/table_rewriter.h); the commits of
// that are made here, between those of plans.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "base/memory_budget.h"
#include "base/result.h"
#include "env/environment.h"
#include "log/epoch.h"
#include "log/reader.h"
#include "tables/delta/log_upkeep.h"
#include "tables/maintenance/table_rewriter.h"
#include "tables/publish/plan_files.h"
#include "tables/table_rows.h"

namespace headrace::tables {

struct PublisherOptions {
  std::string folder;                               // the table's
  base::Duration commit = std::chrono::seconds(5);  // from one commit's begin to the next one's
  uint64_t rows_soon = 2'000'000;      // pending rows that do not wait for the interval
  uint64_t plan_rows_max = 8'000'000;  // rows of one version, about
  base::Duration retry_min =
      std::chrono::milliseconds(500);  // after a failure that may pass; doubles
  base::Duration retry_max = std::chrono::minutes(1);
  FileLimits files;
  delta::UpkeepOptions upkeep;
  std::optional<OptimizeSchedule> optimize;  // nothing: by hand only
  PlanLimits rewrite_limits;
};

struct PublisherStatus {
  enum class State : uint8_t { kStarting, kRunning, kRetrying, kStopped } state = State::kStarting;
  std::string reason;       // why it retries or stopped
  base::EpochId committed;  // the table holds exactly the rows up to here
  base::EpochId durable;
  base::EpochId planned;        // the newest plan's last; 0: none
  base::EpochId first_pending;  // the first epoch of pending rows; 0: none are
  uint64_t pending_rows = 0;    // durable, not in the table
  base::Duration lag{0};        // age of the oldest of them
  uint64_t commits = 0, files = 0, rows = 0, bytes = 0;  // since the start
  uint64_t log_bytes = 0;  // of commits, checkpoints and checksum files, since the start
  OptimizeStatus optimize;
};
std::string_view NameOf(PublisherStatus::State state);  // "running" ...

struct PublisherCapture {
  base::EpochId epoch;  // of which it is
  std::vector<uint8_t> bytes;
};

// NoteDurable and Start; Flush and status from any thread. Runs on an executor of its own.
class Publisher {
 public:
  // Logs a control entry and calls back, on any thread, with the epoch that holds it
  // (log::Sequencer::Append).
  using Append = std::function<void(log::ControlEntry,
                                    std::move_only_function<void(base::Result<base::EpochId>)>)>;

  // `budget` and `environment` outlive it.
  Publisher(env::Environment& environment, base::MemoryBudget& budget, PublishedStream stream,
            PublisherOptions options);
  // Ends after the step that is running; what is durable and not committed is published after the
  // next start.
  ~Publisher();

  // Takes up what an earlier life captured, before the first epoch. Errors: kCorruption.
  base::Result<void> Restore(std::span<const uint8_t> bytes);
  // The schema that the log gave the stream before the first epoch that is noted, unless Restore
  // has brought it. Before Start.
  void NoteSchema(columns::SchemaRef schema);
  // Opens the table (on the executor; a failure shows in status()) and begins.
  void Start(std::unique_ptr<log::LogReader> log, Append append);
  // Every durable epoch of the log, in order, those before Start (recovered) and those after it;
  // epochs that a capture has are passed over. Cheap. Errors: kCorruption for a broken plan.
  base::Result<void> NoteDurable(const log::Epoch& epoch);
  // What the epochs so far told it, for a snapshot. Any thread.
  PublisherCapture Capture() const;
  // Publishes what is durable now, without waiting for the interval; then calls `done` on the
  // executor: with an error when the publisher has stopped or has to retry.
  void Flush(std::move_only_function<void(base::Result<void>)> done);

  // Rewrites files of the table, or removes old ones, now. Errors: see TableRewriter.
  void Optimize(OptimizeRequest request, TableRewriter::OptimizeDone done);
  void Vacuum(const VacuumRequest& request, TableRewriter::VacuumDone done);

  PublisherStatus status() const;
  // Microseconds from a plan's begin to its commit.
  const base::Histogram& commit_us() const;
  // Microseconds of each row from its epoch's sealing to the commit that has it.
  const base::Histogram& visible_us() const;

 private:
  class Actor;
  std::shared_ptr<Actor> actor_;
  std::unique_ptr<env::Executor> rewrite_executor_;
  std::unique_ptr<env::Executor> upkeep_executor_;
  std::unique_ptr<env::Executor> executor_;
};

}  // namespace headrace::tables
