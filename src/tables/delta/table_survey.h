#pragma once
// What a Delta table's folder says about how well it can be read: figures only, from its log and
// the names and sizes of its files. Reads, and changes nothing.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "env/environment.h"
#include "tables/delta/layout.h"
#include "tables/delta/log_state.h"

namespace headrace::tables::delta {

struct LogFigures {
  uint64_t commits = 0;  // that are kept
  int64_t oldest = 0;
  std::optional<int64_t> checkpoint;  // the newest that is sound
  std::vector<std::string> damaged;   // why newer ones are not
  // That _last_checkpoint names, when the log has none of that version or a later one.
  std::optional<int64_t> lost;
  uint64_t since_checkpoint = 0;  // commits that every reader goes through
  uint64_t since_checkpoint_bytes = 0;
  uint64_t bytes = 0;    // of the whole log
  uint64_t expired = 0;  // commits that the retention would let go
  uint64_t expired_bytes = 0;
  base::Timestamp newest_at;  // when the newest commit was made
};

struct FileFigures {
  uint64_t files = 0;
  uint64_t bytes = 0;
  uint64_t rows = 0;         // as far as statistics tell; those that are deleted are none
  uint64_t stored_rows = 0;  // with the deleted ones, which readers go through
  uint64_t median_bytes = 0;
  uint64_t small = 0;  // below a quarter of the target
  uint64_t small_bytes = 0;
  uint64_t after_packing = 0;  // files that the small ones of each partition would make
  uint64_t partitions = 0;
  uint64_t without_rows = 0;    // files without numRecords
  uint64_t without_bounds = 0;  // files without a bound for any column
  uint64_t with_deletions = 0;
  uint64_t deleted_rows = 0;
  uint64_t missing = 0;  // that the log names and the folder lacks
  std::string first_missing;
  uint64_t unreferenced = 0;  // in the folder, in no version that is kept, older than the retention
  uint64_t unreferenced_bytes = 0;
};

struct TableSurvey {
  LogState state;
  LogFigures log;
  FileFigures files;
  Layout layout;
};

inline constexpr uint64_t kTargetFileBytes = 128ULL << 20;
inline constexpr uint64_t kSmallFileBytes = kTargetFileBytes / 4;

// The newest version. Errors: those of ReplayLog; kIoError.
base::Result<TableSurvey> SurveyTable(env::Environment& environment, const std::string& folder);

}  // namespace headrace::tables::delta
