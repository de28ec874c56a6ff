#pragma once
// What the publisher needs of a table format: to add files to a table in one step, together with a
// marker that says how far the log has been published. Delta implements it; the others will.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "tables/parquet/parquet_writer.h"

namespace headrace::tables {

// Whether a failure of work on a table may pass by itself or by freeing something.
inline bool MayPass(base::ErrorCode code) {
  using base::ErrorCode;
  return code == ErrorCode::kStorageFull || code == ErrorCode::kIoError ||
         code == ErrorCode::kResourceExhausted || code == ErrorCode::kUnavailable;
}

// Rows whose epochs were sealed at about one time.
struct SealedRows {
  base::Timestamp at;
  uint64_t rows = 0;
};

// A data file that lies, synced, in the table's folder.
struct DataFile {
  std::string name;  // in the table's folder
  uint64_t bytes = 0;
  uint64_t rows = 0;
  std::vector<ColumnStats> stats;  // one a column of the table's schema
  uint64_t checksum = 0;           // XXH3-64 of its bytes
  // What is told of it in the table's metadata beside that: see maintenance/rewrite_plan.h.
  std::vector<std::pair<std::string, std::string>> tags = {};
  // Its columns; null: those of the table.
  columns::SchemaRef schema = nullptr;
  // When its rows became durable, in order; empty for rows that were in the table before.
  std::vector<SealedRows> sealed = {};
};

// One that goes, as its rows are in others.
struct OldFile {
  std::string name;
  uint64_t bytes = 0;
  bool operator==(const OldFile&) const = default;
};

// How far a writer has come, kept in the table's own metadata: the newest of each application wins.
struct Marker {
  std::string application;  // "headrace/<log id>/<stream>"
  uint64_t version = 0;     // the last epoch
  bool operator==(const Marker&) const = default;
};

// The same rows in other files.
struct Replacement {
  std::vector<OldFile> taken;  // without deletion vectors, all of them in `checked_version`
  std::span<const DataFile> put;
  Marker marker;                 // of its own application: no rows come in
  int64_t checked_version = -1;  // of the table
  std::vector<std::pair<std::string, std::string>> parameters = {};  // for people
};
enum class Replaced : uint8_t {
  kDone,
  kGone,  // somebody else rewrote or removed one of the files, or deleted rows of it: nothing is
          // done
};

// Work beside a table's commits that keeps it quick to open. Runs once, on any one thread, also
// after the table object is gone; a failure costs nobody anything and is tried again later.
using UpkeepTask = std::move_only_function<base::Result<void>()>;

// One table, seen by its one writer of a process. Not thread-safe.
class TableFormat {
 public:
  virtual ~TableFormat() = default;
  // The markers of the newest version that was seen.
  virtual std::vector<Marker> markers() const = 0;
  // Its columns, likewise.
  virtual const columns::Schema& columns() const = 0;
  // The same with the types that columns had before they were widened: its files may have those.
  virtual const columns::Schema& first_columns() const = 0;
  // Looks for versions that others have committed meanwhile. Errors: kConflict when they made the
  // table one that this writer can't append to; kCorruption, kIoError.
  virtual base::Result<void> Refresh() = 0;
  // Adds the files and sets the marker, as one version, durably. A version that another writer
  // commits first is read, and the append repeated after it. Files whose columns may follow the
  // table's (columns/schema_evolution.h) give the table theirs, in the same version. Cost does not
  // depend on the table's length. An error leaves the table as it was, except kIoError, after which
  // Refresh() tells. Errors: kConflict (as Refresh; or another process moved this marker),
  // kIoError, kStorageFull.
  virtual base::Result<void> Append(std::span<const DataFile> files, const Marker& marker) = 0;
  // Puts files in the place of others, as one version, durably. Versions that others commit first
  // are looked at, and only what touches one of the files is in the way. Errors: as Append;
  // kUnavailable when it is not known any more what others did.
  virtual base::Result<Replaced> Replace(const Replacement& replacement) = 0;
  // Bytes that were written to the table's log since the last call: commits, and what upkeep has
  // written by now.
  virtual uint64_t TakeLogBytes() = 0;
  // What is due after the commits so far; null when nothing is. One at a time: not before the last
  // one has run.
  virtual UpkeepTask TakeUpkeep() = 0;
};

}  // namespace headrace::tables
