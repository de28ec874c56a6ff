#pragma once
// Opens a log folder after whatever happened to it: checks every record, hands every epoch on, and
// leaves a clean end to append to.
//
// 1. Names that only a crash leaves behind (temporaries, the unfinished next segment) are removed.
// Segments whose residue is there were let go: they are removed, and so are residues that another
// one took in.
// 2. Segments are read in order, from the one that holds the epoch where recovery may begin: those
// before it are not opened, records before it are stepped over by their headers. Records must
// follow one another by epoch and by the checksum of the one before.
// 3. Where no whole record follows: one epoch at most was unsynced, so only the last record can be
// torn. A later whole record, a
//    later segment, a missing epoch, or a durable mark beyond it means damage: kCorruption with
//    file and offset, and nothing is changed.
// 4. A torn tail is overwritten with zeros and synced, so that its remains can't be taken for a
// record after the next crash.
// 5. The last record is written again, and those before it in its segment that the durable mark
// does not call synced; then file and folder are synced. They may be in memory only, and if a sync
// failed in an earlier life the system believes them clean: only a new write makes a sync mean
// anything. From now on they are answered for. In segments before the last all was synced: the next
// one is begun after that. Where a full disk has no room for that, as it copies what is written
// over, the reserve of retention is given up for it; without one the start is kStorageFull.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "env/environment.h"
#include "log/catalogue.h"
#include "log/epoch.h"
#include "log/recovery_progress.h"
#include "log/residue.h"

namespace headrace::log {

// From where on a log is read.
struct RecoverFrom {
  base::EpochId after;            // later epochs are visited; this one is only checked
  base::EpochId decided;          // an epoch >= after that this log must have; 0: none
  uint64_t decided_checksum = 0;  // of its record
};

// Epochs [first, last] in one file.
struct SegmentExtent {
  base::EpochId first;
  base::EpochId last;  // first - 1: no record yet
  std::string path;
  uint64_t bytes = 0;  // of its records; the file's size when it was not read
};

// Where the log ends.
struct LogTail {
  Catalogue catalogue;
  base::EpochId last;          // 0: an empty log
  uint64_t last_checksum = 0;  // of the last record
  uint64_t log_bytes = 0;      // of all segments, as in their extents
  uint64_t visited_bytes = 0;  // of records that were visited
  std::vector<SegmentExtent> segments;
  std::vector<ResidueFile> residues;
  std::string segment;      // path of the segment to append to; empty when there is none
  uint64_t offset = 0;      // where in it
  uint64_t last_bytes = 0;  // of the last record; 0 when it is not in this segment
};

// The caller holds the folder's lock. `visit` sees every epoch after `from.after` in order; its
// error ends the recovery, as cancelling `progress` does (kUnavailable). Errors: kCorruption
// (file=, offset=), kConflict (the log does not have `from.decided`), kFailedPrecondition (epochs
// behind `from.after` were let go), kIoError, visit's.
base::Result<LogTail> Recover(env::Environment& environment, const std::string& folder,
                              base::LogId log, const RecoverFrom& from, RecoveryProgress& progress,
                              const std::function<base::Result<void>(const Epoch&)>& visit);

}  // namespace headrace::log
