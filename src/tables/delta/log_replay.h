#pragma once
// Reads a table's log at one version:
//
//   1. list the folder;
//   2. take the newest checkpoint that is not newer than the version and not damaged; without one,
//      begin at commit 0;
//   3. go through the commits after it: none may be missing. A log compaction file may stand for
//      some of them, if the caller takes its word; a damaged one is passed over;
//   4. hand out the files of the checkpoint that those commits leave, then theirs; then what was
//      removed.
//
// Memory: the commits after the checkpoint, and a part of the checkpoint at a time.

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "env/files.h"
#include "tables/delta/file_sink.h"
#include "tables/delta/log_state.h"

namespace headrace::tables::delta {

// Whether log compaction files are read. Whoever commits to a table of ours, or tends it, passes
// them over: our commits have a checksum, and what somebody else made of them has none.
enum class Compacted : uint8_t { kPassOver, kRead };

// The newest version when none is named. `sink` null: the files are not read. A damaged checkpoint
// is told as a warning line of the log, and passed over. Errors: kNotFound when there is no table,
// or it has not got that far; kUnavailable when the newest commit is not written to its end, or one
// went while it was read; kCorruption for gaps, damaged commits, and when no checkpoint is
// sound and the commits before it are gone; each with file=.
base::Result<LogState> ReplayLog(env::Files& files, const std::string& folder,
                                 std::optional<int64_t> version, FileSink* sink,
                                 Compacted compacted = Compacted::kPassOver);

// One commit. Errors: kNotFound, kIoError; kUnavailable when it is the newest and its writer is not
// done with it; those of ParseCommit; each with file=.
base::Result<Commit> ReadCommit(env::Files& files, const std::string& folder, int64_t version);

}  // namespace headrace::tables::delta
