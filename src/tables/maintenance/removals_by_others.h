#pragma once
// Which data files of a stream others took out of its table: those that are gone, and that no
// rewritten file of ours stands for.

#include <string>

#include "base/result.h"
#include "tables/delta/log_upkeep.h"
#include "tables/maintenance/replaced_files.h"

namespace headrace::tables {

// For a checkpoint: those removals stay in it. One thread.
class RemovalsByOthers final : public delta::KeptRemovals {
 public:
  RemovalsByOthers(const base::LogId& log, base::StreamId stream) : log_(log), stream_(stream) {}

  // Errors: kCorruption for a tag that is none.
  base::Result<void> Note(const delta::AddFile& file) override;
  bool Keeps(const std::string& path) const override;

 private:
  const base::LogId log_;
  const base::StreamId stream_;
  ReplacedFiles replaced_;
};

}  // namespace headrace::tables
