#pragma once
// OPTIMIZE of one table: an actor beside its publisher, which makes the commits of both, so that
// they are in one order and neither can abort the other.
//
//   1. choose: read the table's files, choose those to rewrite (file_choice.h);
//   2. log a rewrite plan;                                 crash: nothing, or 3 after the next
//   start
//   3. write the new files (rewrite_files.h), synced;      crash: again, with the same bytes
//   4. commit: old files out, new files in, the marker of rewritings set to the plan's epoch,
//   unless
//      another writer has touched one of the old files: then the plan is given up;
//                                          crash: the marker tells whether it happened
//   5. the next plan.
//
// Steps 1 and 3 run on an executor of their own, as maintenance: they yield to everything that the
// governor protects. 2 and 4 are moments on the publisher's executor.

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/memory_budget.h"
#include "base/result.h"
#include "env/environment.h"
#include "log/epoch.h"
#include "tables/maintenance/file_choice.h"
#include "tables/maintenance/rewrite_files.h"
#include "tables/maintenance/vacuum.h"
#include "tables/table_format.h"

namespace headrace::tables {

struct OptimizeRequest {
  std::string where;  // where/where_clause.h; empty: the whole table
  std::vector<std::string> z_order;
  uint64_t target_bytes = 0;  // 0: the default
  RewriteRequest::Effort effort = RewriteRequest::Effort::kAll;
  enum class Run : uint8_t { kReal, kDry } run = Run::kReal;
};

// What comes again and again.
struct OptimizeSchedule {
  base::Duration every{0};
  OptimizeRequest request;
};

struct OptimizeReport {
  FileChoice choice;
  uint64_t versions = 0;  // plans that were carried out
  uint64_t given_up = 0;  // plans of which another writer had touched a file
  uint64_t split = 0;     // that did not fit the memory budget, and were made again as two
  uint64_t files_taken = 0, bytes_taken = 0, files_made = 0, bytes_made = 0;
  base::Duration took{0};
};

// For status.
struct OptimizeStatus {
  std::string state = "idle";                       // "choosing", "rewriting", "vacuuming"
  uint64_t versions = 0, given_up = 0, failed = 0;  // since the start
  uint64_t files_taken = 0, bytes_taken = 0, files_made = 0, bytes_made = 0;
  std::string reason;  // why the last one failed
};

class TableRewriter : public std::enable_shared_from_this<TableRewriter> {
 public:
  static constexpr int kTriesMax = 5;  // of one plan in one life, after errors that may pass
  static constexpr env::MonotonicTime kRetryMin = std::chrono::seconds(1);  // doubles

  // What belongs to the publisher. Functions are called, and call back, on its executor, but for
  // `work`, which posts to the one for long work.
  struct Publisher {
    std::function<TableFormat*()> table;  // null while it is not open
    std::function<void(log::ControlEntry,
                       std::move_only_function<void(base::Result<base::EpochId>)>)>
        append;
    std::function<void(env::Task)> post;
    std::function<void(env::MonotonicTime delay, env::Task)> post_after;
    std::function<void(env::Task)> work;
    std::function<void()> committed;             // a version was made
    std::function<void(base::EpochId)> settled;  // the plan of this epoch is done, or given up
    // The columns of a table whose rows are those of that epoch: a plan's are those of the epoch
    // that it was logged in, in every life. Any thread; null once the publisher is gone.
    std::function<columns::SchemaRef(base::EpochId)> schema;
    // Tells the files of its own plan under way, if there is one. What it gives, any thread may
    // ask.
    std::function<std::function<bool(std::string_view)>()> planned_files;
  };
  struct Table {
    env::Environment& environment;
    base::MemoryBudget& budget;
    std::string name;
    std::string folder;
    base::StreamId stream;
    std::optional<OptimizeSchedule> schedule;
    PlanLimits limits;
  };
  TableRewriter(Table table, Publisher publisher);

  // Once, when the table is open for the first time: goes on with the plan that the log has and the
  // table lacks; begins the schedule. On the publisher's executor.
  void Begin(const base::LogId& log, const std::optional<RewritePlan>& logged);
  // Any thread. One piece of work at a time: another is refused as kConflict. `done` on the
  // publisher's executor.
  using OptimizeDone = std::move_only_function<void(base::Result<OptimizeReport>)>;
  void Optimize(OptimizeRequest request, OptimizeDone done);
  using VacuumDone = std::move_only_function<void(base::Result<VacuumReport>)>;
  void Vacuum(const VacuumRequest& request, VacuumDone done);
  // Long work ends soon. Any thread.
  void Stop() { stopping_ = true; }
  OptimizeStatus status() const;

 private:
  struct Job {
    OptimizeRequest request;
    OptimizeDone done;
    env::MonotonicTime began;
    OptimizeReport report;
    std::deque<RewritePlan> left;
    RewritePlan plan;  // under way
    int tries = 0;     // of it that failed
  };
  base::Result<void> MayBegin() const;
  void OnAsked(OptimizeRequest request, OptimizeDone done);
  void OnVacuumAsked(const VacuumRequest& request, VacuumDone done);
  base::Result<FileChoice> Choose(const OptimizeRequest& request) const;
  base::Result<std::vector<delta::Condition>> ConditionsOf(const std::string& where,
                                                           const delta::TableColumns& table) const;
  void OnChosen(base::Result<FileChoice> choice);
  void NextPlan();
  void OnLogged(const base::Result<base::EpochId>& logged);
  void WriteFiles();
  void OnWritten(base::Result<std::optional<RewrittenFiles>> written);
  void Commit(const RewrittenFiles& written);
  base::Result<Replaced> TryCommit(const RewrittenFiles& written);
  void CountCommit(const RewrittenFiles& written);
  void GiveUp();
  void Failed(const base::Error& error);
  void End(base::Result<void> result);
  void Arm();
  void Enter(std::string state);
  // Runs while this lives.
  template <typename Step>
  env::Task Guarded(Step step) {
    return [weak = weak_from_this(), step = std::move(step)]() mutable {
      if (const auto self = weak.lock()) step(*self);
    };
  }

  const Table table_;
  const Publisher publisher_;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  OptimizeStatus status_;  // guarded
  // On the publisher's executor:
  base::LogId log_;
  bool open_ = false;
  bool vacuuming_ = false;
  std::unique_ptr<Job> job_;
};

}  // namespace headrace::tables
