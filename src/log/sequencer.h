#pragma once
// The actor that owns the log: it admits batches (order, repeats, lateness), seals epochs, writes
// and syncs them, answers, and hands durable epochs to the applier. One epoch is being synced at a
// time; what arrives meanwhile is the next one.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "base/ids.h"
#include "base/memory_budget.h"
#include "base/result.h"
#include "base/time.h"
#include "columns/event_batch.h"
#include "env/environment.h"
#include "log/clock_mark.h"
#include "log/epoch.h"

namespace headrace::log {

enum class Durability : uint8_t { kFsync, kOs };
enum class ClockMode : uint8_t { kWall, kEvents };

// How a stream's rows are placed in time. Fields by index into the stream's schema.
struct StreamTiming {
  size_t event_time_field = 0;                     // a timestamp column, not null
  bool event_time_restricted = false;              // not shown in reasons
  base::Duration late = std::chrono::minutes(10);  // allowed lateness behind the newest event time
  base::Duration max_ahead =
      std::chrono::minutes(1);  // ahead of the log clock; 1 d past the newest under kEvents
};

// What the sequencer must know of a stream.
struct StreamSpec {
  base::StreamId id;
  std::string name;
  columns::SchemaRef schema;
  StreamTiming timing;
};

class RecoveryProgress;

// Named limits; every one is in docs/reference/limits.md.
struct LogOptions {
  Durability durability = Durability::kFsync;
  ClockMode clock = ClockMode::kWall;
  uint64_t segment_bytes = 64ULL << 20;  // preallocated and zeroed one ahead
  uint64_t log_bytes_max = 64ULL << 30;  // reached: ingest is refused (kStorageFull), reads go on
  uint64_t reserve_bytes = 4ULL << 20;   // kept free so that control entries work on a full disk
  uint64_t epoch_rows_max =
      1ULL << 17;  // an epoch is sealed at this many rows or bytes at the latest
  uint64_t epoch_bytes_max = 16ULL << 20;
  uint64_t queue_bytes_max =
      64ULL << 20;  // submitted, not yet durable; beyond it Submit answers kResourceExhausted
  // Remembered, besides those of Delta tables; the oldest idle one is retired first.
  uint32_t producers_max = 100'000;
  uint32_t idempotency_keys_max = 1'000'000;  // remembered for idempotency_keep
  base::Duration idempotency_keep = std::chrono::hours(24);
  uint32_t outcomes_per_producer =
      64;  // first answers kept for repeats; an older repeat is answered as such, without rows
  uint64_t answers_refused_bytes_max = 32ULL
                                       << 20;  // refused rows in answers kept for repeats; beyond
                                               // it the oldest answers keep their number only
  uint64_t residue_bytes_max =
      1ULL << 30;  // refused rows of segments that were let go; beyond it the oldest are forgotten
  base::Duration residue_keep = std::chrono::hours(720);  // likewise
  uint64_t capture_slice_bytes =
      64ULL << 10;  // written at once by CaptureState, at most 0.2 ms, between other tasks
  // The log clock begins here at the earliest (log/clock_mark.h).
  ClockFloor clock_floor;
  // Told how far Open is, and asked whether to go on; nobody when null. Used by Open only.
  RecoveryProgress* progress = nullptr;
};

// What the log's own state (answers to producers and idempotency keys, watermarks, clock, counters,
// streams) was after an epoch: enough to go on without reading the epochs up to it.
// log/state_capture.h reads the bytes. Its memory stays charged as long as it is there; the log's
// budget outlives it.
struct StateCapture {
  base::EpochId epoch;
  std::vector<uint8_t> bytes;
  std::vector<base::MemoryCharge> charges = {};
};

using CaptureCallback = std::move_only_function<void(base::Result<StateCapture>)>;

// Where recovery may begin. `after` was durable when the capture was asked for.
struct ResumePoint {
  base::EpochId after;             // only later epochs are read and handed to on_recovered; 0: all
  std::span<const uint8_t> state;  // a StateCapture's bytes, of an epoch >= after; empty only when
                                   // `after` is 0. Read during Open only
};

// The answer to one EventBatch.
struct Acknowledgement {
  base::EpochId epoch;  // the epoch that holds it: read-your-writes token
  uint64_t accepted = 0;
  // Number of the first accepted row among the stream's rows in the epoch; those behind follow it.
  uint32_t first_row = kRowUnknown;
  base::Timestamp first_time = {};  // its event time, when first_row is known
  uint64_t refused_rows = 0;
  // Without payloads, in order. Of a repeat the first ones, or none, as far as they are remembered.
  std::vector<columns::RejectedRow> refused;
  enum class Repeat : uint8_t { kFirst, kRepeated } repeat = Repeat::kFirst;
  Durability durability = Durability::kFsync;
};

using AckCallback = std::move_only_function<void(base::Result<Acknowledgement>)>;

struct LogStatus {
  base::LogId log;
  base::EpochId durable;
  base::Timestamp clock;
  uint64_t log_bytes = 0;       // of segments
  uint64_t log_bytes_max = 0;   // at which rows are refused
  uint64_t bytes_written = 0;   // of records, since the start: never falls
  uint64_t bytes_replayed = 0;  // of records that the start handed to `on_recovered`
  base::EpochId first{1};       // the first whose rows are held
  uint64_t segments = 0;
  uint64_t residue_bytes = 0;      // refused rows and control entries of epochs that were let go
  uint64_t refused_forgotten = 0;  // rows that residue_bytes_max or residue_keep made go
  base::EpochId refused_from{1};   // the first whose refused rows are held
  std::string retention_error;     // what keeps segments, or is damaged of what stays of them
  uint64_t rows_accepted = 0, rows_refused = 0,
           batches_repeated = 0;  // since the log began, repeats since the start
  bool read_only = false;
  std::string read_only_reason;
};

// Submit, WouldFollow, Append and status from any thread; everything else happens on the
// sequencer's executor.
class Sequencer {
 public:
  // Called on the sequencer's executor for each durable epoch, in order, exactly once (recovered
  // ones are delivered by Open's `on_recovered` instead). Must not block.
  using DurableCallback = std::function<void(EpochRef)>;

  // Opens or creates the log in `folder`, recovers, and rebuilds the log's own state from
  // `resume`'s capture and the epochs after that; every epoch after `resume.after` is handed to
  // `on_recovered` in order, those that the capture knows already too. Errors: kConflict (another
  // process has the folder; or the capture is of an epoch that this log does not have: nothing was
  // changed then, an older capture may fit), kFailedPrecondition (epochs after `resume.after` were
  // let go), kCorruption with file and offset, kIoError.
  static base::Result<std::unique_ptr<Sequencer>> Open(
      env::Environment& environment, base::MemoryBudget& budget, const std::string& folder,
      LogOptions options, const ResumePoint& resume,
      const std::function<base::Result<void>(const Epoch&)>& on_recovered);
  // From the first epoch on.
  static base::Result<std::unique_ptr<Sequencer>> Open(
      env::Environment& environment, base::MemoryBudget& budget, const std::string& folder,
      LogOptions options, const std::function<base::Result<void>(const Epoch&)>& on_recovered);
  virtual ~Sequencer() = default;

  // Streams must be added before Start (idempotent by name: a known stream keeps its id; a schema
  // that can't follow the known one is kConflict). Writes a kStream control entry for new ones and
  // changed ones.
  virtual base::Result<base::StreamId> AddStream(const std::string& name, columns::SchemaRef schema,
                                                 StreamTiming timing) = 0;
  // Begins to accept. `on_durable` sees each new epoch.
  virtual void Start(DurableCallback on_durable) = 0;

  // Takes a batch in. `done` is called once, on the sequencer's executor, after the epoch is
  // durable, or with kResourceExhausted (queue), kInvalidInput (sequence gap; unknown stream),
  // kStorageFull, kIoError (read-only).
  virtual void Submit(columns::EventBatch batch, AckCallback done) = 0;
  // Whether a batch that has a source, and is not in an epoch up to `epoch`, would most likely be
  // taken as it is: it is new or admitted to a later epoch, not known to be refused, and its rows
  // are neither late nor ahead. For answers that say that they are provisional; decides nothing, as
  // others may come before it.
  virtual bool WouldFollow(const columns::EventBatch& batch, const StreamTiming& timing,
                           base::EpochId epoch) const = 0;
  // Logs a control entry; `done` gets the epoch that holds it. Uses the reserve when the disk is
  // full.
  virtual void Append(ControlEntry entry,
                      std::move_only_function<void(base::Result<base::EpochId>)> done) = 0;
  // The same, and in the same epoch the streams that are named (by name; their ids do not count)
  // get new schemas: rows of that epoch and later ones have them. Batches that were checked under
  // the schema before are made to fit. Errors: as Append; kNotFound for a stream that is not there,
  // kConflict for a schema that can't follow; nothing is logged then.
  virtual void AppendEvolving(std::vector<StreamSpec> streams, ControlEntry entry,
                              std::move_only_function<void(base::Result<base::EpochId>)> done) = 0;
  // The applier says when an epoch became visible (wall clock), to be stored in the next one.
  virtual void MarkVisible(base::EpochId epoch, base::Timestamp at) = 0;
  // Takes a capture of the log's own state, in slices between other tasks. Any thread; `done` is
  // called once, on the sequencer's executor (on the caller's thread once stopped), only when the
  // capture's epoch is durable: under `os` it is synced first. One at a time. Errors:
  // kResourceExhausted (one is under way, or the memory budget), kUnavailable (stopping), kIoError
  // (read-only).
  virtual void CaptureState(CaptureCallback done) = 0;
  // Nothing needs the rows of epochs before `from` any more: segments that hold only such are let
  // go, oldest first, in the background; their refused rows and control entries stay
  // (residue_bytes_max, residue_keep). Any thread. Not remembered over a restart.
  virtual void Retain(base::EpochId from) = 0;
  // Takes that back for all that is still here, until LetGo: `done` is told, on the sequencer's
  // executor, the first epoch whose rows stay. Once stopped nothing happens.
  virtual void Hold(std::move_only_function<void(base::EpochId)> done) = 0;
  virtual void LetGo() = 0;
  // The last sequence number of a stream's producer, 0 when unknown (a client that resumes asks).
  virtual uint64_t LastSequence(base::StreamId stream, const std::string& producer) const = 0;
  virtual LogStatus status() const = 0;
  // Microseconds each fdatasync took, and microseconds from Submit to durable.
  virtual const base::Histogram& sync_us() const = 0;
  virtual const base::Histogram& durable_us() const = 0;
  // Refuses new batches, makes what was submitted durable, then returns. Idempotent.
  virtual void Stop() = 0;
};

}  // namespace headrace::log
