#pragma once
// The actor that changes the definition of a running core (docs/internals/changes.md):
// 1. what is asked for is planned (change_plan.h), and refused if it can't be done;
// 2. the views that are new are built by the applier, from history that this reads in pieces, while
//    the old ones answer;
// 3. when they are as new as all others the definition is logged: the epoch that holds it is the
//    cut-over, for a replay as for the readers;
// 4. the views that it took away are kept up for a while, for a way back.
// A crash before step 3 is durable leaves nothing of the change but that it was asked for
// (asked_change.h): the next start begins it again. A crash after it leaves all of it.

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/memory_budget.h"
#include "base/result.h"
#include "env/environment.h"
#include "log/sequencer.h"
#include "watch/change_figures.h"
#include "wiring/applier.h"
#include "wiring/asked_change.h"
#include "wiring/change_plan.h"
#include "wiring/log_retention.h"
#include "wiring/recovery.h"
#include "wiring/snapshotter.h"
#include "wiring/stream_history.h"

namespace headrace::wiring {

// Diff, Apply, Rollback and ToJson from any thread; NoteDurable on the sequencer's executor,
// NoteVisible on the applier's. Background priority, and it waits at the gate like maintenance
// does.
class DefinitionChanges {
 public:
  static constexpr uint64_t kMissingRowsMax = 1 << 15;  // accepted meanwhile: the rest is put aside
  static constexpr int kRoundsMax = 16;  // through the log's new end, before it is given up
  static constexpr uint64_t kBusyRows = 1 << 14;  // the applier's backlog that history waits for
  static constexpr uint64_t kSpareShare = 16;     // of the budget, left free by what is built
  static constexpr uint32_t kLivesMax = 3;        // that a change is begun in, then it is given up
  static constexpr env::MonotonicTime kKeep = std::chrono::hours(1);  // what a change took away
  static constexpr env::MonotonicTime kLookAtKept = std::chrono::seconds(1);

  // All outlive it.
  struct Sources {
    const CoreOptions& options;
    const Derived& derived;
    base::MemoryBudget& budget;
    Applier& applier;
    log::Sequencer& sequencer;
    LogRetention& retention;
    Snapshotter& snapshotter;
  };
  using Done = std::move_only_function<void(base::Result<std::string>)>;

  // `logged`: what the log names last.
  DefinitionChanges(env::Environment& environment, Sources sources,
                    std::optional<pipeline::LoggedDefinition> logged);
  ~DefinitionChanges();

  // Each gives a JSON document, on this actor's executor. Errors: of Apply and Rollback kConflict
  // while a change is under way, kFailedPrecondition when it is refused, with every reason.
  void Diff(ChangeRequest request, Done done);
  // Answers when it has begun, and will begin again after a death; ToJson tells how it goes on. Who
  // asks for what is under way is answered as the one who asked first.
  void Apply(ChangeRequest request, Done done);
  void Rollback(Done done);
  // The definition in force, and the change under way or the last one.
  std::string ToJson() const;
  watch::ChangeFigures figures() const;

  // Logs what a start brought. Once, before anything is applied.
  void LogStarted(const pipeline::LoggedDefinition& standing);
  // Begins again what an earlier life did not end. Once, after LogStarted.
  void GoOn();
  std::optional<pipeline::LoggedDefinition> logged() const;
  void NoteDurable(const log::Epoch& epoch);
  void NoteVisible(base::EpochId epoch);
  // What is under way is dropped. Idempotent.
  void Close();

 private:
  using State = watch::ChangeFigures::State;
  // Of the change under way or the last one.
  struct Figures : watch::ChangeFigures {
    env::MonotonicTime began_at{0}, ended_at{0};
  };
  struct Task;
  void Post(std::move_only_function<void()> step);
  void PostAfter(env::MonotonicTime span, void (DefinitionChanges::*step)());
  // The same, on the applier's executor and back with what it gives.
  template <typename Do, typename Then>
  void OnApplier(Do act, Then then);

  ChangeGround Ground(const ChangeRequest& request) const;
  uint64_t RowsOf(const pipeline::StreamDefinition& stream) const;
  void ApplyNow(AskedChange asked, Done done);
  void GoOnNow();
  void GoOnWith(AskedChange asked);
  void NoteRefused(const AskedChange& asked, base::Error error);
  void Forget();
  base::Result<ChangeRequest> Before() const;
  void Begin(ChangePlan plan, AskedChange asked);
  void BeginBuild();
  base::Result<void> OpenHistory(const pipeline::ViewSet::ToBuild& needed);
  void Step();
  base::Result<void> CheckMemory() const;
  void NextRound();
  void PutAside();
  void CatchUp();
  void LogIt();
  void Cut(base::EpochId at);
  void Finish();
  void Abandon(base::Error error);
  void LookAtKept();
  base::Error Refused(const ChangePlan& plan) const;

  env::Environment& environment_;
  const Sources sources_;
  const AskedChangeFile asked_;

  // On the executor.
  std::unique_ptr<Task> task_;

  mutable std::mutex mutex_;  // guards from here
  std::optional<pipeline::LoggedDefinition> logged_;
  std::optional<pipeline::LoggedDefinition> announced_;  // appended, and not durable yet
  base::EpochId cut_over_;                               // durable, and not visible yet
  Figures figures_;
  std::unique_ptr<env::Executor> executor_;
};

}  // namespace headrace::wiring
