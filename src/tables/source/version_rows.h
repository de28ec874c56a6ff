#pragma once
// The rows that one version of a table of somebody else's brings into a stream, in pieces. The
// pieces are a function of the table's log, the place they begin at, `limits` and `compared_by`:
// whoever asks again with the same, after a crash, gets the same rows in the same order, whatever
// fields the contract has got meanwhile.
//
//   whole:  every row that the table holds at the version, its files by the least event time in
//           them where all of them tell it, else by when they were written;
//   added:  the rows of the files that the version added, in the order of its commit.
//
// Files whose rows were in the table before (dataChange=false) bring nothing. Of a version that
// took files away too, `kLeaveOut` gives the rows of its files that no file it took away had.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/memory_budget.h"
#include "base/result.h"
#include "columns/batch.h"
#include "env/environment.h"
#include "tables/delta/actions.h"
#include "tables/delta/log_state.h"
#include "tables/delta/table_schema.h"

namespace headrace::tables {

// Where a piece ends: no piece is of two files, and none has less than one row.
struct PieceLimits {
  uint32_t rows = 0;
  uint64_t bytes = 0;  // 0: of any size
  // Fields of the schema by which bytes are counted: 8 a value, and those of its text.
  std::vector<std::string> fields = {};
};

// Between two rows of a version.
struct VersionPlace {
  uint64_t file = 0;
  uint64_t row = 0;  // of the file, without those that are deleted
  bool operator==(const VersionPlace&) const = default;
};

// What a stream takes of a table.
struct WantedRows {
  columns::SchemaRef schema;  // the contract's
  size_t event_time_field = 0;
  PieceLimits limits;
  // Fields of the schema by which rows are told from those that were taken out.
  std::vector<std::string> compared_by = {};
};

// How the stream's columns are found in the table. Errors: kInvalidInput for a required column
// that the table lacks, or one of a type that does not become the stream's without loss.
base::Result<void> CheckSourceColumns(const delta::TableColumns& table,
                                      const columns::Schema& schema);

struct SourcePiece {
  columns::ColumnBatch rows;          // of the wanted schema
  std::vector<uint32_t> row_numbers;  // in the file, without those that are deleted; from 0 on
  std::string file;                   // its path in the table
};

// Not thread-safe.
class VersionRows {
 public:
  // Rows of files that a version took away and that are held to compare with, at most: one more is
  // refused.
  static constexpr uint64_t kRemovedRowsMax = 8'000'000;

  struct Table {
    env::Environment& environment;
    base::MemoryBudget& budget;
    std::string folder;
  };
  // Errors: those of ReplayLog, of CheckSourceColumns and of DeltaReader; kResourceExhausted when
  // the budget can't hold the list of files, or the rows to compare with.
  static base::Result<std::unique_ptr<VersionRows>> Whole(const Table& table,
                                                          const WantedRows& wanted,
                                                          int64_t version);
  // `commit` made `state` out of the version before. With `removed` the rows that the files it took
  // away had are left out. Errors beside those: kConflict when the schema lacks one of
  // `compared_by`, or there is none.
  enum class Removed : uint8_t { kNone, kLeaveOut };
  static base::Result<std::unique_ptr<VersionRows>> Added(const Table& table,
                                                          const WantedRows& wanted,
                                                          const delta::LogState& state,
                                                          const delta::Commit& commit,
                                                          Removed removed);
  virtual ~VersionRows() = default;

  // A hash of the files in their order.
  virtual uint64_t files_hash() const = 0;
  virtual size_t files() const = 0;
  // Of files that were read to their end.
  virtual size_t files_done() const = 0;
  // As statistics tell; deleted rows are not counted.
  virtual uint64_t rows() const = 0;
  // Rows of files taken away that came back in none.
  virtual uint64_t rows_gone() const = 0;

  // Where the next piece begins.
  virtual VersionPlace place() const = 0;
  // Passes over everything before `place`, and then over so many pieces as `limits` cut them,
  // reading as little as it can. Errors: as Next; kConflict when there is not so much.
  struct Taken {
    VersionPlace place;
    PieceLimits limits;
    uint64_t pieces = 0;
  };
  virtual base::Result<void> Skip(const Taken& taken) = 0;
  // Nothing after the last one. Errors: as DeltaReader::Scan, with data_file=; kResourceExhausted.
  virtual base::Result<std::optional<SourcePiece>> Next() = 0;
};

}  // namespace headrace::tables
