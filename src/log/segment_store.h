#pragma once
// The segment being appended to, and the next one, which is reserved and zeroed in the background
// before it is needed.
//
// A segment's life: `next.segment` is created, reserved, zeroed and synced on a background
// executor; when the active one is full it is renamed to epoch-<first>.log and the folder is
// synced; then records go in. So a full disk shows when a segment is prepared, not when an epoch is
// written. Sizes: 8 MiB first, then twice the one before, up to segment_bytes; more for a huge
// epoch. A log that fills faster than the disk takes zeros gets segments that are only reserved: a
// slower sync is better than none. So does one that fills at over kZeroedBytesPerS: there a sync
// has megabytes behind it, and writing every byte twice costs more than it saves.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "env/environment.h"
#include "log/recovery.h"
#include "log/sequencer.h"

namespace headrace::log {

// Lives on the sequencer's executor (`reply_to`, which must end first or StopPreparing be called);
// only the preparation runs elsewhere.
class SegmentStore {
 public:
  static constexpr uint64_t kZeroedBytesPerS = 64ULL << 20;

  // `on_prepared` runs on `reply_to` whenever a preparation ended, well or not.
  SegmentStore(env::Environment& environment, std::string folder, const LogOptions& options,
               env::Executor& reply_to, std::function<void()> on_prepared);
  ~SegmentStore();

  // Goes on at the end of a recovered log, or prepares the first segment of a new one. Blocks.
  // Errors: as Files.
  base::Result<void> Open(const LogTail& tail);

  enum class Use : uint8_t {
    kRows,     // must leave the reserve alone while no next segment is ready
    kControl,  // may use the reserve
  };
  enum class Room : uint8_t {
    kHere,       // MakeRoom will succeed
    kPreparing,  // ask again after on_prepared
    kNone,       // error() says why; a new attempt is made after a second
  };
  Room RoomFor(uint64_t bytes, Use use);
  // Why the last preparation failed.
  const base::Error& error() const { return *error_; }

  // There may be space again: the next RoomFor makes a new attempt.
  void TryAgain() { error_.reset(); }

  // Makes the active segment able to hold `bytes`, taking the next one when needed; its first epoch
  // will be `first`. RoomFor said kHere. Errors are final: whether the new name is on stable
  // storage is unknown.
  base::Result<void> MakeRoom(uint64_t bytes, base::EpochId first);

  // Only after a MakeRoom, or of a recovered log.
  env::WritableFile& file() { return *active_->file; }
  bool HasActive() const { return active_.has_value(); }
  // Where the next record goes; 0: it is the segment's first.
  uint64_t offset() const { return offset_; }
  void Advance(uint64_t bytes) { offset_ += bytes; }

  // Ends the background executor; from now on segments are prepared in the foreground.
  void StopPreparing();

 private:
  struct Segment {
    std::unique_ptr<env::WritableFile> file;
    uint64_t size = 0;
  };
  // The active segment is full.
  void NoteFilled();
  uint64_t Remaining() const { return active_ ? active_->size - offset_ : 0; }
  uint64_t Reserve() const;
  void BeginPreparing(uint64_t at_least_bytes);
  void EndPreparing(base::Result<Segment> prepared);
  base::Result<Segment> Prepare(uint64_t size);
  void PrepareAhead();

  env::Environment& environment_;
  const std::string folder_;
  const LogOptions& options_;
  env::Executor& reply_to_;
  const std::function<void()> on_prepared_;
  std::unique_ptr<env::Executor> background_;

  std::optional<Segment> active_;
  uint64_t offset_ = 0;
  std::optional<Segment> next_;
  bool preparing_ = false;
  std::atomic<bool> hurry_{false};  // the log waits for the segment that is being zeroed
  env::MonotonicTime taken_at_{0};  // when the active segment became that
  bool fills_fast_ = false;         // the one before it did
  uint64_t next_size_;
  std::optional<base::Error> error_;
  env::MonotonicTime failed_at_{0};
};

}  // namespace headrace::log
