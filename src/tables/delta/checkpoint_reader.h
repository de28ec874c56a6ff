#pragma once
// Reads a checkpoint, whoever wrote it: classic, multi-part, or V2 with its sidecars (PROTOCOL,
// "Checkpoints"). One of ours is checked whole before the first of its actions is believed.

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "env/files.h"
#include "tables/delta/actions.h"
#include "tables/delta/file_sink.h"
#include "tables/delta/log_listing.h"

namespace headrace::tables::delta {

// All that is not about files.
struct CheckpointHead {
  Commit actions;  // protocol, metadata, transactions, domains; no files
  bool ours = false;
  std::optional<FileSums> sums;  // of the files, as one of ours tells
  // Of ours, and made of nobody else's: removals of files that we keep are all here.
  bool removals_known = false;
  // LogState's. One that does not say it may lack all that were made before it.
  int64_t forgotten_ms = 0;
};

// Hands the files to `sink`, a part at a time; null: reads only the head. Errors: kCorruption when
// it is damaged or lacks a file, with file=; kUnsupported for a data file outside the table; those
// of the sink.
base::Result<CheckpointHead> ReadCheckpoint(env::Files& files, const std::string& log_folder,
                                            const CheckpointFiles& checkpoint, FileSink* sink);

}  // namespace headrace::tables::delta
