#pragma once
// The actor that writes snapshots of a running core, as often as the bound on recovery asks for,
// and lets go of the part of the log that nothing needs any more.
//
// A snapshot, on a background executor:
// 1. the views, piece by piece, while they move (pipeline::ViewCapture);
// 2. publishers, dead letters, definition: small, each of its own epoch;
// 3. the log's own state, which is last: a log that reaches its epoch reaches those of all parts;
// 4. the end, the name, the folder's sync; then the third is room for the next one.
// After each piece it syncs, and pauses three times as long as the disk took: it has the disk for
// a quarter of the time at most, and so a quarter of its bandwidth. It does not pause while a start
// would take longer than `recovery`.
//
// When: a start reads the newest snapshot, then the log after it. A snapshot begins early enough
// that, with the rows that come while it is written, this takes no longer than 7/10 of `recovery`;
// but not before replaying alone takes a tenth of it. One begins too when a quarter of
// log.bytes_max was written since the last, and when a log that is nearly full waits for it.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "env/background_gate.h"
#include "env/environment.h"
#include "log/sequencer.h"
#include "log/snapshot_file.h"
#include "pipeline/views/view_capture.h"
#include "watch/status_document.h"
#include "wiring/recovery.h"

namespace headrace::wiring {

struct SnapshotterOptions {
  std::string folder;
  base::Duration recovery = std::chrono::seconds(10);
  uint64_t log_bytes_max = 0;  // a quarter of it, written since the last snapshot, begins one too
  base::Duration check_every = std::chrono::milliseconds(250);
  base::Duration retry_after = std::chrono::seconds(10);  // after one that failed
};

// Start and Close once; figures from any thread.
class Snapshotter {
 public:
  // What it reads. All outlive it.
  struct Sources {
    const Derived& derived;
    log::Sequencer& sequencer;
    // The definition that the log names last; nothing when it names none yet.
    std::function<std::optional<pipeline::LoggedDefinition>()> definition;
  };
  Snapshotter(env::Environment& environment, base::MemoryBudget& budget, SnapshotterOptions options,
              Sources sources);
  ~Snapshotter();

  // `recovered` tells of the snapshot that was used and how fast this machine was with it.
  void Start(const StartFigures& recovered);
  // Begins one now unless one is under way; `done` when it is there, or with what stopped it.
  void TakeNow(std::function<void(base::Result<void>)> done);
  // The definition was changed: snapshots so far lack views, and do not count any more.
  void NoteChange();
  // Abandons what is under way. Idempotent.
  void Close();
  watch::SnapshotFigures figures() const;
  // The epoch from which on a start needs the log, should the newest snapshot be damaged: 0 as long
  // as there are fewer than two.
  base::EpochId SafeAfter() const;
  // Whether a log that is nearly full can let nothing go before there is a newer snapshot.
  void NoteLogWaits(bool waits);

 private:
  struct Task;
  struct Known {
    base::EpochId after;
    std::string path;
  };
  base::Result<void> FindBefore(const std::string& newest);
  void Post(void (Snapshotter::*step)(), env::MonotonicTime at);
  void Tick();
  bool IsDue();
  // Of the log: rows, refused ones included, and bytes.
  struct Logged {
    double rows = 0;
    double bytes = 0;
  };
  double ReplaySeconds(Logged logged) const;
  double EstimateSeconds(Logged logged, double snapshot_bytes) const;
  void Begin();
  void StartOver();
  void BeginAnew();
  base::Result<void> WriteHead();
  void WritePieces();
  double Slack() const;
  double Calm() const;
  base::Result<bool> WritePiece(env::MonotonicTime& at_disk);
  void WriteRest();
  base::Result<void> WriteSmallParts();
  base::Result<void> End(const log::StateCapture& state);
  base::Result<void> RemoveAllBut(const std::string& newest, const std::string& before);
  void Finish(base::Result<void> result);

  env::Environment& environment_;
  base::MemoryBudget& budget_;
  const SnapshotterOptions options_;
  const Sources sources_;

  // On the executor.
  std::unique_ptr<Task> task_;
  std::vector<std::function<void(base::Result<void>)>> waiting_;
  double load_bytes_per_s_;
  double replay_rows_per_s_;
  double replay_bytes_per_s_;
  double write_bytes_per_s_;  // pauses included
  bool hurries_ = false;      // the start had much to replay, and no snapshot was taken since
  // A start, or a change, built views that no snapshot has: the next start would build them again.
  bool lacks_views_ = false;
  Logged per_s_;  // recent
  uint64_t rows_seen_ = 0;
  uint64_t bytes_seen_ = 0;
  env::MonotonicTime seen_at_{0};
  uint64_t rows_at_snapshot_ = 0;   // when the newest one began
  uint64_t bytes_at_snapshot_ = 0;  // likewise; 0 at the start, as what was replayed came after it
  env::MonotonicTime not_before_{0};
  std::optional<Known> newest_;  // taken in this life, or found at its start
  std::optional<Known> before_;  // the one before it, likewise

  mutable std::mutex mutex_;        // guards from here
  env::MonotonicTime ended_at_{0};  // of the newest; 0: none since the start
  watch::SnapshotFigures figures_;
  base::EpochId safe_after_;
  bool log_waits_ = false;

  std::atomic<bool> closed_{false};
  std::unique_ptr<env::Executor> executor_;
};

}  // namespace headrace::wiring
