#pragma once
// Reads a table that Headrace wrote (and others may have compacted): its newest version, the rows
// with their positions, and how far the log was published into it.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "env/environment.h"
#include "tables/table_rows.h"

namespace headrace::tables {

namespace delta {
class DeltaTable;
}

// Of a table whose files others rewrote, and appended to.
base::Error MixedRows();

// One version of one table. Not thread-safe.
class TableReader {
 public:
  // Errors: kNotFound when there is no table; those of delta::DeltaTable::Open.
  static base::Result<std::unique_ptr<TableReader>> Open(env::Environment& environment,
                                                         const std::string& folder);
  ~TableReader();

  int64_t version() const;
  uint64_t rows() const;
  size_t files() const;
  // The last epoch of `log` whose rows of `stream` are all in this version; nothing when none is.
  std::optional<base::EpochId> Marker(const base::LogId& log, const std::string& stream) const;

  // Files, by their numbers for ScanFile, whose rows stand before those of the next stretch.
  struct Stretch {
    std::vector<size_t> files;
    bool in_order = false;  // one file, whose rows stand in the order of their positions
  };
  // The files that publishers of `log` wrote of `stream`, in the order of positions. Files that
  // were rewritten may overlap, and their rows stand in any order. Files of others are left out:
  // nothing tells where their rows stand in the log. Errors: kUnsupported when others removed or
  // rewrote some of ours.
  base::Result<std::vector<Stretch>> FilesOf(const base::LogId& log, base::StreamId stream) const;
  // The files that have the rows of that history, in no order.
  struct OurFiles {
    std::vector<size_t> files;
    std::vector<size_t> of_others;  // that are left out
    // They rewrote some of ours: nothing tells those files from what they appended, so all are
    // in `files`. A row of ours is one whose position no other row has.
    bool rewritten_by_others = false;
  };
  // Errors: kCorruption.
  base::Result<OurFiles> FindOurs(const base::LogId& log, base::StreamId stream) const;
  const std::string& NameOf(size_t file) const;
  base::Result<void> ScanFile(size_t file, const columns::SchemaRef& wanted,
                              const VisitRows& visit) const;

  // Calls `visit` with the columns of `wanted` of every row, with positions and known_at, in no
  // order that means something: files may have been rewritten. Errors: kUnsupported for files with
  // deletion vectors; kCorruption; kInvalidInput for a column that is not there.
  base::Result<void> Scan(const columns::SchemaRef& wanted, const VisitRows& visit) const;

 private:
  TableReader(env::Environment& environment, std::unique_ptr<delta::DeltaTable> table);
  env::Environment& environment_;
  std::unique_ptr<delta::DeltaTable> table_;
};

}  // namespace headrace::tables
