#pragma once
// The actor behind a Publisher: see publisher.h for its steps.
//
// publisher_actor.cc decides what is next and carries plans out; publisher_table.cc has what it
// does with the table beside that: opening it, holding its marker against the log, the upkeep of
// its log, and what the rewriter may do with it.

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tables/publish/noted_epochs.h"
#include "tables/publish/publisher.h"

namespace headrace::tables {

// Everything but what the mutex guards, and what is thread-safe by itself, belongs to the executor.
// Callbacks that outlive the publisher hold it weakly.
class Publisher::Actor : public std::enable_shared_from_this<Actor> {
 public:
  using FlushDone = std::move_only_function<void(base::Result<void>)>;

  Actor(env::Environment& environment, base::MemoryBudget& budget, PublishedStream stream,
        PublisherOptions options);

  void SetExecutors(env::Executor* executor, env::Executor* upkeep, env::Executor* rewrite);
  // Once, before anything else.
  void MakeRewriter();
  const std::shared_ptr<TableRewriter>& rewriter() const { return rewriter_; }

  base::Result<void> NoteDurable(const log::Epoch& epoch);
  void NoteSchema(columns::SchemaRef schema) { noted_.NoteSchema(std::move(schema)); }
  // What was noted, then MadeRows' bytes where there are such.
  PublisherCapture Capture() const;
  base::Result<void> Restore(std::span<const uint8_t> bytes);
  void Start(std::unique_ptr<log::LogReader> log, Append append);
  void Flush(FlushDone done);
  PublisherStatus status() const;
  const base::Histogram& commit_us() const { return commit_us_; }
  const base::Histogram& visible_us() const { return visible_us_; }

 private:
  using State = PublisherStatus::State;
  struct Waiter {
    base::EpochId epoch;
    FlushDone done;
  };

  // The task runs only while the actor lives.
  template <typename Step>
  void PostLocked(Step step) {
    if (executor_ != nullptr) executor_->Post(Guarded(std::move(step)));
  }
  template <typename Step>
  void Post(Step step) {
    const std::lock_guard lock(mutex_);
    PostLocked(std::move(step));
  }
  template <typename Step>
  env::Task Guarded(Step step) {
    return [weak = weak_from_this(), step = std::move(step)]() mutable {
      if (const auto self = weak.lock()) step(*self);
    };
  }
  void PostAfter(base::Duration delay);

  // The table (publisher_table.cc).
  void OpenTable();
  base::Result<void> TryOpenTable();
  base::Result<void> RemoveLeftovers();
  base::Result<void> Settle();
  delta::UpkeepOptions Upkeep() const;
  void TendLog();
  TableRewriter::Publisher ForRewriter();

  // Plans.
  void Continue();
  bool Hurried();
  void PlanNext();
  bool AwaitsRows() const;
  void LogEntry(log::ControlEntry entry, std::optional<LoggedPlan> plan);
  void OnLogged(const std::optional<LoggedPlan>& plan, const base::Result<base::EpochId>& logged);
  env::BackgroundPass& Pass();
  void RunPlan();
  base::Result<void> TryRunPlan();
  void CountCommit(const std::vector<DataFile>& files);
  void CountLogBytes();
  void SetCommitted(base::EpochId epoch);
  base::EpochId committed() const;
  void AnswerFlushes();
  void FailFlushes(const base::Error& error);
  void Fail(const base::Error& error);
  void Enter(State state, std::string reason);
  bool stopped() const;

  env::Environment& environment_;
  base::MemoryBudget& budget_;
  const PublishedStream stream_;
  const PublisherOptions options_;
  base::Histogram commit_us_;
  base::Histogram visible_us_;
  NotedEpochs noted_;

  mutable std::mutex mutex_;  // guards from here to the blank line
  env::Executor* executor_ = nullptr;
  env::Executor* upkeep_executor_ = nullptr;
  env::Executor* rewrite_executor_ = nullptr;
  PublisherStatus status_;  // but for what is noted, and the rewriter's
  std::vector<Waiter> flushes_;
  bool started_ = false;
  bool hurried_ = false;

  std::unique_ptr<log::LogReader> log_;
  Append append_;
  std::string application_;
  std::unique_ptr<TableFormat> table_;
  std::shared_ptr<TableRewriter> rewriter_;
  std::optional<LoggedPlan> last_plan_;
  base::EpochId had_;  // the table had everything up to there, as the log let it go; 0: it did not
  std::optional<RewritePlan> last_rewrite_;  // that the log had at the start
  bool redo_ = false;                        // the last plan is in the log and not in the table
  bool busy_ = false;                        // an entry is on its way into the log
  bool due_ = true;                          // the interval, or a retry's delay, is over
  bool failed_ = false;                      // the last try ended in an error
  bool tending_ = false;                     // the upkeep's executor has a piece of work
  std::string reason_;
  std::optional<env::BackgroundPass> pass_;
  uint64_t timer_turn_ = 0;
  env::MonotonicTime started_at_{0};
  base::Duration retry_delay_{0};
};

}  // namespace headrace::tables
