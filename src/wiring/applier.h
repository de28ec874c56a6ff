#pragma once
// The actor that applies durable epochs to the views and says when they became visible.

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/histogram.h"
#include "base/time.h"
#include "env/environment.h"
#include "log/epoch.h"
#include "pipeline/views/view_set.h"

namespace headrace::wiring {

// Take from the sequencer's thread; the rest happens on the applier's own executor. Outlived by the
// environment and the views.
class Applier {
 public:
  // Called on the applier's executor for each step, with its last epoch.
  using VisibleCallback = std::function<void(base::EpochId)>;

  static constexpr uint64_t kBacklogRowsMax =
      1ULL << 15;  // durable, not yet applied; beyond it Core holds new batches back
  static constexpr uint64_t kBacklogBytesMax = 64ULL << 20;  // likewise, for wide rows
  static constexpr size_t kEpochsPerStep = 256;              // gathered into one step at the most

  Applier(env::Environment& environment, pipeline::ViewSet& views, VisibleCallback on_visible);
  // Applies what was taken, then returns.
  ~Applier();

  void Take(log::EpochRef epoch);
  // Rows of history, for views that are being built: one piece a step, beside the epochs. `done`
  // runs on the applier's executor when it was applied.
  void TakeHistory(pipeline::HistoryRows rows, env::Task done);
  // Runs between two steps, on the applier's executor.
  void Between(env::Task task) { executor_->Post(std::move(task)); }
  // Frees memory that readers held, though no epoch comes.
  void FreeRetired() {
    Between([this] { views_.FreeRetired(); });
  }
  uint64_t backlog_rows() const { return backlog_rows_.load(std::memory_order_relaxed); }
  struct Ages {
    base::Duration oldest{0};  // since the oldest epoch that is not visible was taken; 0: all are
    base::Duration step{0};    // since the step under way began; 0: there is none
  };
  Ages ages() const;  // any thread
  bool IsBehind() const {
    return backlog_rows() > kBacklogRowsMax ||
           backlog_bytes_.load(std::memory_order_relaxed) > kBacklogBytesMax;
  }
  // Microseconds from Take to visible, once an epoch.
  const base::Histogram& visible_us() const { return visible_us_; }

 private:
  struct Waiting {
    log::EpochRef epoch;
    env::MonotonicTime taken;
    uint64_t rows;
    uint64_t bytes;
  };
  struct History {
    pipeline::HistoryRows rows;
    env::Task done;
  };
  void Schedule();
  void Run();
  void Step(const std::vector<Waiting>& step, const pipeline::HistoryRows* history);

  env::Environment& environment_;
  pipeline::ViewSet& views_;
  VisibleCallback on_visible_;
  base::Histogram visible_us_;
  std::atomic<uint64_t> backlog_rows_{0};
  std::atomic<uint64_t> backlog_bytes_{0};
  mutable std::mutex mutex_;  // guards the next five
  std::vector<Waiting> waiting_;
  std::deque<History> history_;
  bool scheduled_ = false;
  std::optional<env::MonotonicTime> step_taken_;  // the first epoch of the step under way
  std::optional<env::MonotonicTime> step_began_;
  std::unique_ptr<env::Executor> executor_;  // last: its destructor runs what was posted
};

}  // namespace headrace::wiring
