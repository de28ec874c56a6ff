#pragma once
// What keeps a table's log short, beside its commits and never in their way: checkpoints, the hint
// to the newest of them, checksum files, and the removal of commits that the retention lets go
// (PROTOCOL, "Checkpoints", "Version Checksum File", "Metadata Cleanup").
//
// A checkpoint of version N is made of the newest sound checkpoint before it and the commits
// between, by put-if-absent: N.checkpoint.parquet. A crash leaves a temporary file, which the next
// one removes. Nothing here is needed to read the table right: whoever finds a part of it damaged
// reads the log from further back.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "env/environment.h"
#include "env/files.h"
#include "tables/delta/checkpoint_writer.h"
#include "tables/delta/log_state.h"

namespace headrace::tables::delta {

// Which removals stay in checkpoints when they have expired: a reader of history learns by them
// that rows were taken away.
class KeptRemovals {
 public:
  virtual ~KeptRemovals() = default;
  // Every file that the version has; then, of each removal that has expired, whether it stays.
  virtual base::Result<void> Note(const AddFile& file) = 0;
  virtual bool Keeps(const std::string& path) const = 0;
};

struct UpkeepOptions {
  int64_t checkpoint_every = 100;  // versions
  // Of commits, when the table's metadata does not say (delta.logRetentionDuration).
  base::Duration log_retention = std::chrono::hours(30 * 24);
  // Commits are kept so long whatever the metadata says: a writer that slept must not find the
  // version after its own gone, and take it for one that nobody has made.
  base::Duration log_retention_min = std::chrono::hours(24);
  // Of a checkpoint; null: no removal stays when it has expired.
  std::function<std::unique_ptr<KeptRemovals>()> kept_removals;
};

// The checkpoint of `version`, and _last_checkpoint. One that is there already is left alone: then
// nothing is returned. Errors: as ReplayLog; kUnsupported for state that we can't carry over.
base::Result<std::optional<CheckpointFigures>> WriteCheckpoint(env::Environment& environment,
                                                               const std::string& folder,
                                                               int64_t version,
                                                               const UpkeepOptions& options);

// The checksum file of a version: how many files it has, and how many bytes. Left alone when it is
// there. Returns the bytes that were written.
base::Result<uint64_t> WriteChecksumFile(env::Environment& environment, const std::string& folder,
                                         const LogState& state);

// Removes what is older than the retention and not needed by any version that is kept: the newest
// checkpoint that is old enough stays, with its commit and all after it; it is read first, and
// nothing is removed when it is damaged. Oldest first. Returns how many files went.
base::Result<size_t> CleanUpLog(env::Environment& environment, const std::string& folder,
                                const LogState& state, const UpkeepOptions& options);

// Whether a file was last written at `cutoff` or before. One of 1970 was not: its file system keeps
// no times, so that nobody knows.
bool IsAsOldAs(const env::FileFacts& facts, base::Timestamp cutoff);

// "interval 30 days", "interval 1 week 2 hours". Nothing for what is no such text.
std::optional<base::Duration> ParseInterval(std::string_view text);

}  // namespace headrace::tables::delta
