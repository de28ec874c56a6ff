#pragma once
// Has the log tell when its last rows became visible. An epoch tells it of those before it; rows
// that no epoch follows would be known to nobody who reads the log, or only from the engine's next
// life on. So an epoch is sealed for that alone
// - once nothing has come in for kQuiet;
// - at a clean stop, when all is visible.
// Never two for the same rows, and none where all streams say themselves when rows were known.

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/ids.h"
#include "env/environment.h"
#include "log/epoch.h"
#include "log/sequencer.h"
#include "pipeline/definition.h"

namespace headrace::wiring {

// Start before the log accepts.
class VisibleTimes {
 public:
  static constexpr env::MonotonicTime kQuiet = std::chrono::seconds(1);

  // The environment and the sequencer outlive it, and it lives until the sequencer has stopped.
  VisibleTimes(env::Environment& environment, log::Sequencer& sequencer,
               const pipeline::PipelineDefinition& definition);
  ~VisibleTimes();

  // What the log holds is visible; `now` on the log clock. `log_folder`: where it is looked up
  // whether it tells that.
  void Start(const std::string& log_folder, base::Timestamp now);
  void NoteDurable(const log::Epoch& epoch);  // every epoch, on the sequencer's executor
  void NoteVisible(base::EpochId epoch);      // on the applier's, when the sequencer was told
  // At once, when all rows are visible; `done` when the log tells it, or will not any more.
  void Tell(std::function<void()> done);
  // Idempotent.
  void Close();

 private:
  bool IsUntold() const { return told_ < with_rows_ && asked_for_ < with_rows_; }
  void LookAt(env::MonotonicTime at);
  void Look();
  void LookAtLog(const std::string& log_folder, base::EpochId newest);
  void Seal(std::function<void()> done);
  void AskAgain();

  env::Environment& environment_;
  log::Sequencer& sequencer_;
  std::string stream_;  // one whose rows' times are observed; "": there is none

  std::mutex mutex_;  // guards from here
  base::EpochId with_rows_, told_, visible_;
  base::EpochId asked_for_;  // by the last epoch that was sealed for this
  env::MonotonicTime rows_at_{0};
  bool looking_ = false;
  std::function<void()> when_told_;
  std::unique_ptr<env::Executor> executor_;
};

}  // namespace headrace::wiring
