#pragma once
// An epoch under way: first it gathers what was admitted, then it is sealed and written; who waits
// for it goes with it.

#include <cstdint>
#include <map>
#include <vector>

#include "base/memory_budget.h"
#include "env/clock.h"
#include "log/admission.h"
#include "log/epoch.h"
#include "log/sequencer.h"

namespace headrace::log {

using ControlCallback = std::move_only_function<void(base::Result<base::EpochId>)>;

// A batch on its way to its answer. Movable; gives its memory back when it dies.
struct Submission {
  columns::EventBatch batch;  // emptied by admission
  AckCallback done;
  env::MonotonicTime submitted_at{0};
  uint64_t bytes = 0;  // charged to the queue
  base::MemoryCharge charge;
  base::MemoryCharge texts_charge;  // of rows that become texts, as they are refused
};

// Whoever is told when the epoch is durable.
struct BatchWaiter {
  Submission submission;
  StoredAnswer answer;
  Acknowledgement::Repeat repeat = Acknowledgement::Repeat::kFirst;
};

struct ControlWaiter {
  ControlEntry entry;
  ControlCallback done;
  std::vector<StreamSpec> evolving = {};  // streams that get new schemas with it
};

// What the clocks say at sealing.
struct SealTimes {
  base::Timestamp clock;
  base::Timestamp sealed_at;
  base::EpochId visible_through;
  base::Timestamp visible_at = base::Timestamp::Min();
};

// Not thread-safe. Movable.
class PendingEpoch {
 public:
  explicit PendingEpoch(base::EpochId id) : id_(id) {}

  base::EpochId id() const { return id_; }
  bool empty() const { return !has_content_; }
  uint64_t rows() const { return rows_; }
  // Of one stream, so far.
  uint32_t RowsOf(base::StreamId stream) const;
  // About what it takes on disk.
  uint64_t bytes() const { return bytes_; }

  // Adds a batch's rows, refused rows and outcome, and its waiter.
  void Add(Admitted admitted, Submission submission);
  void Add(ControlEntry entry, ControlCallback done);
  // A batch without rows says that the source is alive. Once an epoch.
  void AddHeartbeat(const std::string& stream);
  // Somebody who repeated a batch of this epoch.
  void AddWaiter(BatchWaiter waiter) { batch_waiters_.push_back(std::move(waiter)); }

  // Merges each stream's batches into one. Once; afterwards only the waiters remain.
  Epoch Seal(const SealTimes& times);

  std::vector<BatchWaiter> TakeBatchWaiters() { return std::move(batch_waiters_); }
  std::vector<ControlCallback> TakeControlWaiters() { return std::move(control_waiters_); }

 private:
  struct Stream {
    std::vector<columns::ColumnBatch> batches;
    uint32_t rows = 0;
    std::vector<columns::RejectedRow> rejects;
  };

  base::EpochId id_;
  bool has_content_ = false;
  uint64_t rows_ = 0;
  uint64_t bytes_ = 0;
  std::map<base::StreamId, Stream> streams_;
  std::vector<SourceOutcome> outcomes_;
  std::vector<ControlEntry> controls_;
  std::vector<BatchWaiter> batch_waiters_;
  std::vector<ControlCallback> control_waiters_;
};

// About what a batch takes in memory and on disk.
uint64_t BytesOf(const columns::EventBatch& batch);

}  // namespace headrace::log
