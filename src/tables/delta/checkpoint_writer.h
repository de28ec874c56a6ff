#pragma once
// Writes one classic checkpoint: a Parquet file with a row for each action of a version's state
// (PROTOCOL, "Checkpoints"), in pieces, so that memory does not grow with the table. Nobody sees
// the file before it is whole and synced.

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "env/files.h"
#include "tables/delta/file_sink.h"
#include "tables/delta/log_state.h"

namespace headrace::tables::delta {

// What _last_checkpoint tells about a checkpoint.
struct CheckpointFigures {
  int64_t version = 0;
  uint64_t actions = 0;
  uint64_t bytes = 0;  // of the checkpoint
  FileSums sums;       // of the table's files
};

// One thread.
class CheckpointWriter {
 public:
  // Rows that are encoded at once: a row group.
  static constexpr uint64_t kRowGroupRows = 16'384;

  static base::Result<std::unique_ptr<CheckpointWriter>> Create(env::Files& files,
                                                                const std::string& path);
  virtual ~CheckpointWriter() = default;
  virtual base::Result<void> Add(const AddFile& file) = 0;
  virtual base::Result<void> Remove(const RemoveFile& file) = 0;
  // After the files, everything else; then the file gets its name. Once, as the last call. Errors:
  // kAlreadyExists when the checkpoint is there.
  virtual base::Result<CheckpointFigures> Publish(const LogState& state) = 0;
};

}  // namespace headrace::tables::delta
