#pragma once
// Which files of a table a rewriting takes, and into how many it makes them: a list of plans, each
// of which becomes one version.
//
// Only files that this stream's publishers wrote are taken: what another writer brought stays in
// files of its own, as by them a reader of history tells whose rows are whose.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "env/environment.h"
#include "tables/delta/log_state.h"
#include "tables/delta/pruning.h"
#include "tables/delta/table_schema.h"
#include "tables/maintenance/rewrite_plan.h"

namespace headrace::tables {

// A table at one version, its own files with statistics and tags.
struct TableFiles {
  delta::LogState state;
  delta::TableColumns columns;
  std::vector<delta::AddFile> ours;  // by position, as far as names and tags tell
  std::vector<delta::AddFile> others;
  std::vector<delta::RemoveFile> removed;
};
// The newest version. Errors: those of delta::ReplayLog.
base::Result<TableFiles> ReadTableFiles(env::Environment& environment, const std::string& folder,
                                        const base::LogId& log, base::StreamId stream);

struct RewriteRequest {
  std::vector<delta::Condition> where;  // checked
  std::vector<std::string> z_order;     // none: small files are packed
  uint64_t target_bytes = 0;            // of a file; 0: the default
  // kAll: whatever makes fewer files. kWorthwhile, for those that come again and again: files that
  // are much larger than what there is to add to them stay, so that a row is rewritten about as
  // often as its file's size doubles, and a few small files wait for more.
  enum class Effort : uint8_t { kAll, kWorthwhile } effort = Effort::kAll;

  uint64_t target() const {
    return target_bytes != 0 ? target_bytes : z_order.empty() ? kTargetBytes : kZOrderTargetBytes;
  }
  static constexpr uint64_t kTargetBytes = 128ULL << 20;
  // Smaller, as readers pass over whole files.
  static constexpr uint64_t kZOrderTargetBytes = 16ULL << 20;
  static constexpr uint64_t kTargetBytesMin = 64ULL << 10;
  static constexpr uint64_t kTargetBytesMax = 1ULL << 30;
};

// Named limits of one plan.
struct PlanLimits {
  uint64_t files_max = 1000;
  uint64_t rows_max = 8'000'000;    // in Z-order: they are sorted in memory
  uint64_t bytes_max = 1ULL << 30;  // of the files, as they are stored
  // Text of one column that is put in Z-order at once, which is what a column of a batch holds. Of
  // a plan that has more, the rows are put in order a piece at a time.
  uint64_t sorted_text_bytes_max = INT32_MAX;
};

struct FileChoice {
  std::vector<RewritePlan> plans;
  uint64_t table_files = 0, table_bytes = 0;
  uint64_t files = 0, bytes = 0, rows = 0;  // that are taken
  uint64_t files_made = 0;                  // of them, about
  // That are left as they are, and why.
  uint64_t others = 0;     // another writer brought them
  uint64_t deletions = 0;  // somebody deleted rows of them
  uint64_t unfitting = 0;  // no row of them can fit the predicate
  uint64_t good = 0;       // large enough, or in this order already
  uint64_t waiting = 0;    // small, and too few to be worth it
};
FileChoice ChooseFiles(const TableFiles& table, base::StreamId stream,
                       const RewriteRequest& request, const PlanLimits& limits);

}  // namespace headrace::tables
