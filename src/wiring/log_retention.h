#pragma once
// Decides from which epoch on the log is still needed, and tells the log. Rows stay as long as
// - a start may need them: those after the snapshot before the newest one (without two, all);
// - a table lacks them;
// - a scan is reading them, while there is room;
// - the pipeline says `log.keep`; without it, until three quarters of log.bytes_max are used.
// Rows of a stream without a table are nowhere else, and of one that the pipeline lacks nobody
// knows whether its table has them: they stay, unless `log.keep` says that they may go.

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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
    Snapshotter& snapshotter;
    log::Sequencer& sequencer;
    std::vector<std::string> left_out;  // streams that the log knows and the definition lacks
  };
  LogRetention(env::Environment& environment, Sources sources);
  ~LogRetention();

  void Start();
  void NoteDurable(const log::Epoch& epoch);
  // Views are being built from the log: what it has stays until LetGo. `done` is told the first
  // epoch, on the sequencer's executor.
  void Hold(std::move_only_function<void(base::EpochId)> done);
  void LetGo();
  // Rows that a reader needs stay while its pin lives, unless the log is nearly full: then readers
  // find them gone, as rows that come in must not be refused for their sake. Any thread.
  class Pin {
   public:
    Pin() = default;
    Pin(Pin&& other) noexcept
        : retention_(std::exchange(other.retention_, nullptr)), number_(other.number_) {}
    Pin& operator=(Pin&& other) noexcept {
      std::swap(retention_, other.retention_);
      std::swap(number_, other.number_);
      return *this;
    }
    ~Pin() {
      if (retention_ != nullptr) retention_->Unpin(number_);
    }
    // Only rows of epochs after it are needed.
    void MoveTo(base::EpochId after);

   private:
    friend class LogRetention;
    Pin(LogRetention* retention, uint64_t number) : retention_(retention), number_(number) {}
    LogRetention* retention_ = nullptr;
    uint64_t number_ = 0;
  };
  // What every table has already may be on its way out; all other rows stay.
  Pin PinAll();
  void Close();
  watch::RetentionFigures figures() const;

 private:
  struct Mark {
    base::Timestamp clock;
    base::EpochId epoch;
  };
  void Tick();
  bool IsFull(const log::LogStatus& status) const;
  watch::RetentionFigures Needed();
  bool WaitsForSnapshot(base::EpochId needed_from);
  void SealForSnapshot();
  // The last epoch that is older than `keep`; 0 when none is known to be.
  base::EpochId OlderThan(base::Duration keep);
  void Unpin(uint64_t number);
  // What the reader that needs most needs; nothing when nobody reads.
  std::optional<base::EpochId> Pinned() const;
  bool IsHeld() const {
    const std::lock_guard lock(mutex_);
    return held_;
  }

  env::Environment& environment_;
  const Sources sources_;
  base::EpochId told_;           // on the executor
  base::EpochId first_;          // likewise: what the log held at the last look
  std::atomic<int> sealed_ = 0;  // epochs for snapshots, since the log let the last rows go
  std::atomic<bool> sealing_ = false;
  mutable std::mutex mutex_;  // guards from here
  std::deque<Mark> marks_;
  bool held_ = false;
  std::map<uint64_t, base::EpochId> pins_;  // by number: rows of later epochs are needed
  uint64_t next_pin_ = 0;
  base::Timestamp clock_ = base::Timestamp::Min();
  watch::RetentionFigures figures_;
  std::unique_ptr<env::Executor> executor_;
};

}  // namespace headrace::wiring
