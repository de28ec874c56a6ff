#pragma once
// Opens a log folder after whatever happened to it: checks every record, hands every epoch on, and
// leaves a clean end to append to.
//
// 1. Names that only a crash leaves behind (temporaries, the unfinished next segment) are removed.
// 2. Segments are read in order. Records must follow one another by epoch and by the checksum of
// the one before.
// 3. Where no whole record follows: one epoch at most was unsynced, so only the last record can be
// torn. A later whole record, a
//    later segment, or a missing epoch means damage: kCorruption with file and offset, and nothing
//    is changed.
// 4. A torn tail is overwritten with zeros and synced, so that its remains can't be taken for a
// record after the next crash.
// 5. The last record is written again, and file and folder are synced. It may be in memory only,
// and if its sync failed in an earlier
//    life the system believes it clean: only a new write makes a sync mean anything. From now on it
//    is answered for.

#include <functional>
#include <string>

#include "base/result.h"
#include "env/environment.h"
#include "log/catalogue.h"
#include "log/epoch.h"

namespace headrace::log {

// Where the log ends.
struct LogTail {
  Catalogue catalogue;
  base::EpochId last;          // 0: an empty log
  uint64_t last_checksum = 0;  // of the last record
  uint64_t log_bytes = 0;      // of all records
  std::string segment;         // path of the segment to append to; empty when there is none
  uint64_t offset = 0;         // where in it
  uint64_t last_bytes = 0;     // of the last record; 0 when it is not in this segment
};

// The caller holds the folder's lock. `visit` sees every epoch in order; its error ends the
// recovery. Errors: kCorruption (file=, offset=), kIoError, visit's.
base::Result<LogTail> Recover(env::Environment& environment, const std::string& folder,
                              base::LogId log,
                              const std::function<base::Result<void>(const Epoch&)>& visit);

}  // namespace headrace::log
