#pragma once
// Writes the data files of a publish plan: rows in the order of their positions, cut into files by
// size.

#include <cstdint>
#include <string>
#include <vector>

#include "base/memory_budget.h"
#include "base/result.h"
#include "env/background_gate.h"
#include "env/environment.h"
#include "log/reader.h"
#include "tables/publish/plan.h"
#include "tables/table_format.h"
#include "tables/table_rows.h"

namespace headrace::tables {

// Named limits of a plan's files.
struct FileLimits {
  uint64_t file_rows_max = 4'000'000;
  uint64_t file_raw_bytes_max = 128ULL << 20;  // of rows before encoding
  // Times at which a file's rows were sealed, a millisecond apart at least; past it rows count as
  // those of the last that is told apart.
  size_t sealed_times_max = 65'536;
};

// Reads the plan's rows, as rows of `schema`, encodes and stores the files, synced. A file that is
// there with the same bytes is taken as written (a plan that is carried out again); one with other
// bytes is never touched. Bytes go to the disk as they are made. The writer's memory is charged to
// `budget`. Between epochs it waits at `pass` while the engine is pressed. Errors: kConflict for a
// file with other bytes; kResourceExhausted for memory; those of the log and of the disk.
base::Result<std::vector<DataFile>> WritePlanFiles(
    env::Environment& environment, base::MemoryBudget& budget, log::LogReader& log,
    const PublishedStream& stream, const columns::SchemaRef& schema, const LoggedPlan& plan,
    const std::string& folder, const FileLimits& limits, env::BackgroundPass& pass);

}  // namespace headrace::tables
