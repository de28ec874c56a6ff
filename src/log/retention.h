#pragma once
// Lets segments go whose rows nothing needs any more, oldest first, in the background.
//
// 1. What must stay of the segment (residue.h) is put into a residue file, whole and synced; a
//    small one before it is taken in and removed.
// 2. The segment is removed and the folder synced. After a crash between the two, recovery removes
//    the segment: the residue says which epochs are let go.
// 3. Residue above residue_bytes_max or older than residue_keep loses its refused rows, the oldest
//    file first; definitions, streams and each table's newest plan stay. That is counted and
//    logged.
// A residue that is damaged stays as it is, for somebody to mend it from a copy, and is told: a
// small one is not taken in, and the next one begins beside it; step 3 passes it by, and goes on
// behind it. It does not count for residue_bytes_max, as nothing behind it would be left in its
// place; once rows behind it are forgotten, its own count as forgotten, too. No start and no answer
// needs what can't be read of it. After a start it is looked at anew. From the first Retain on a
// file of reserve_bytes holds space, which is given up when the disk is too full for a residue, and
// taken again when a segment went. The last segment stays. A step that fails changes nothing that
// counts; it is tried again.

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "env/environment.h"
#include "log/recovery.h"
#include "log/residue.h"
#include "log/sequencer.h"

namespace headrace::log {

// Lives on the sequencer's executor (`reply_to`, which must end first or Stop be called); only the
// work on files runs elsewhere.
class Retention {
 public:
  struct Figures {
    base::EpochId first{1};  // whose rows are held
    uint64_t segments = 0;
    uint64_t residue_bytes = 0;
    uint64_t refused_forgotten = 0;
    base::EpochId refused_from{1};  // whose refused rows are held
    std::string error;              // why the last step failed, or which residue is damaged
  };

  // `on_changed` runs on `reply_to` after every step, with the bytes of the segment that went.
  Retention(env::Environment& environment, std::string folder, base::LogId log,
            const LogOptions& options, env::Executor& reply_to,
            std::function<void(uint64_t)> on_changed);
  ~Retention() { Stop(); }

  // Once, of a recovered log.
  void Open(LogTail& tail);
  // A segment begins with this epoch; the one before is closed.
  void BeginSegment(base::EpochId first, std::string path);
  // A record was written to the last segment.
  void Grow(uint64_t bytes);
  // Rows of epochs before `from` are not needed. `now`: of the clock that ages residue.
  void Retain(base::EpochId from, base::Timestamp now);
  // Nothing goes that is here, whatever was said of it, until LetGo. The first epoch whose rows
  // stay: a segment that is on its way out goes.
  base::EpochId Hold();
  void LetGo();
  Figures figures() const;

  // Ends the background executor; what it was doing is done, or left for the next start.
  void Stop();

 private:
  // What one step did, or found: a copy of what the background knows.
  struct Outcome {
    base::Result<void> result;
    bool segment_went = false;
    uint64_t residue_bytes = 0;
    uint64_t refused_forgotten = 0;
    base::EpochId refused_from{1};  // whose refused rows are held
    std::string damage;             // of a residue
  };

  void Next();
  void Take(Outcome outcome);

  // In the background.
  Outcome Step(const std::optional<SegmentExtent>& segment, base::Timestamp now);
  base::Result<void> PutResidue(const SegmentExtent& segment);
  base::Result<bool> TakeInSmall(ResidueWriter& writer);
  base::Result<void> AddSegment(const SegmentExtent& segment, ResidueWriter& writer);
  base::Result<void> RemoveSegment(const SegmentExtent& segment);
  base::Result<void> Trim(base::Timestamp now);
  base::Result<void> Forget(size_t oldest);
  void NoteDamage(const ResidueFile& residue, const base::Error& error);
  bool IsDamaged(const ResidueFile& residue) const { return damaged_.contains(residue.path); }
  base::Result<void> Put(ResidueWriter& writer, size_t replaced_from, size_t replaced_to);
  base::Result<void> PutFile(const std::string& path, std::span<const uint8_t> bytes);
  void TakeReserve();
  uint64_t ResidueBytes() const;

  env::Environment& environment_;
  const std::string folder_;
  const base::LogId log_;
  const LogOptions& options_;
  env::Executor& reply_to_;
  const std::function<void(uint64_t)> on_changed_;

  // On reply_to_.
  std::deque<SegmentExtent> segments_;
  base::EpochId from_;
  bool held_ = false;
  base::Timestamp now_ = base::Timestamp::Min();
  bool working_ = false;
  bool removing_ = false;  // it works on the first segment
  bool trim_wanted_ = false;
  bool failed_ = false;
  uint64_t residue_bytes_ = 0;
  uint64_t refused_forgotten_ = 0;
  base::EpochId refused_from_{1};
  std::string error_;

  // In the background (or before it runs).
  std::vector<ResidueFile> residues_;
  std::set<std::string> damaged_;  // paths of residues in which damage was met in this life
  std::string damage_;             // the last of them, in words
  std::atomic<bool> stopping_{false};
  std::unique_ptr<env::Executor> background_;
};

}  // namespace headrace::log
