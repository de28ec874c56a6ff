#pragma once
// Decides from which epoch on the log is still needed, and tells the log. Rows stay as long as
// - a start may need them: those after the snapshot before the newest one (without two, all);
// - a table lacks them;
// - the pipeline says `log.keep`; without it, until three quarters of log.bytes_max are used.
// Rows of a stream without a table are nowhere else: they stay, unless `log.keep` says that they
// may go.

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/time.h"
#include "env/environment.h"
#include "log/epoch.h"
#include "log/sequencer.h"
#include "pipeline/definition.h"
#include "watch/status_document.h"
#include "wiring/snapshotter.h"
#include "wiring/table_publishers.h"

namespace headrace::wiring {

// Start and Close once; NoteDurable in order; figures from any thread.
class LogRetention {
 public:
  static constexpr env::MonotonicTime kEvery = std::chrono::seconds(1);
  static constexpr size_t kMarksMax = 128;  // times of epochs that are remembered for `keep`

  // All outlive it.
  struct Sources {
    const pipeline::PipelineDefinition& definition;
    const TablePublishers& publishers;
    const Snapshotter& snapshotter;
    log::Sequencer& sequencer;
  };
  LogRetention(env::Environment& environment, Sources sources);
  ~LogRetention();

  void Start();
  void NoteDurable(const log::Epoch& epoch);
  // Views are being built from the log: what it has stays until LetGo. `done` is told the first
  // epoch, on the sequencer's executor.
  void Hold(std::move_only_function<void(base::EpochId)> done);
  void LetGo();
  void Close();
  watch::RetentionFigures figures() const;

 private:
  struct Mark {
    base::Timestamp clock;
    base::EpochId epoch;
  };
  void Tick();
  watch::RetentionFigures Needed();
  // The last epoch that is older than `keep`; 0 when none is known to be.
  base::EpochId OlderThan(base::Duration keep);
  bool IsHeld() const {
    const std::lock_guard lock(mutex_);
    return held_;
  }

  env::Environment& environment_;
  const Sources sources_;
  base::EpochId told_;        // on the executor
  mutable std::mutex mutex_;  // guards from here
  std::deque<Mark> marks_;
  bool held_ = false;
  base::Timestamp clock_ = base::Timestamp::Min();
  watch::RetentionFigures figures_;
  std::unique_ptr<env::Executor> executor_;
};

}  // namespace headrace::wiring
