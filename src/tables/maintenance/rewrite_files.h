#pragma once
// Carries out a rewrite plan up to its commit: reads the old files, writes the new ones.
//
//   1. every file of the plan is in the table still, as it was planned; else the plan is given up;
//   2. packing: the rows as they come, file after file, a part at a time;
//      Z-order: all rows of the plan in memory, sorted (z_order.h), in pieces of at most
//      `sorted_text_bytes_max` of text in a column;
//   3. new files of `rows_per_file` rows (in Z-order: at most, as the curve is cut where a bit of
//   it
//      changes), each put under its own name and synced.
//
// Nothing of it is seen by a reader before the commit, and the files of a plan that is given up are
// removed by a vacuum, like any file that no version names.

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/memory_budget.h"
#include "base/result.h"
#include "env/background_gate.h"
#include "env/environment.h"
#include "tables/maintenance/rewrite_plan.h"
#include "tables/table_format.h"

namespace headrace::tables {

struct RewrittenFiles {
  std::vector<DataFile> files;
  int64_t checked_version = -1;  // of the table, in which all files of the plan were
};

// Where it happens. All outlive the call.
struct RewritePlace {
  env::Environment& environment;
  base::MemoryBudget& budget;
  const std::string& folder;
  base::LogId log;
  const columns::SchemaRef& schema;   // of the table
  uint64_t sorted_text_bytes_max;     // PlanLimits
  env::BackgroundPass& pass;          // asked between parts
  const std::atomic<bool>& stopping;  // true: ends with kUnavailable
};

// Nothing when a file of the plan is gone, or rows of it were deleted. Errors: kResourceExhausted
// when the rows do not fit the memory budget; kConflict for a file with other bytes; kCorruption;
// those of the disk.
base::Result<std::optional<RewrittenFiles>> WriteRewrittenFiles(const RewritePlace& place,
                                                                const RewritePlan& plan);

}  // namespace headrace::tables
