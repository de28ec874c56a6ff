#pragma once
// Any Delta table, whoever wrote it, at one version: its files, and their rows.
//
// Understood: partitions, deletion vectors, column mapping by name and by id, type widening,
// checkpoints of all kinds. A reader feature that is not is refused by its name. Nothing outside
// the table's folder is read, whatever a path or a link says.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "columns/batch.h"
#include "env/environment.h"
#include "tables/delta/log_state.h"
#include "tables/delta/pruning.h"
#include "tables/delta/table_schema.h"
#include "tables/delta/time_travel.h"

namespace headrace::tables::delta {

class FileRows;

// Holds the list of files with their statistics, and no rows. Not thread-safe.
class DeltaReader {
 public:
  // Errors: those of ReplayLog and FindVersion; kUnsupported for a feature that is not understood.
  static base::Result<std::unique_ptr<DeltaReader>> Open(env::Environment& environment,
                                                         const std::string& folder,
                                                         const ReadAt& at = {});

  // Over some files of a table, as `state` describes them. Errors: kUnsupported for a feature that
  // is not understood; kCorruption for a broken schema.
  static base::Result<std::unique_ptr<DeltaReader>> Of(env::Environment& environment,
                                                       const std::string& folder, LogState state,
                                                       std::vector<AddFile> files);

  const LogState& state() const { return state_; }
  const TableColumns& columns() const { return columns_; }
  const std::vector<AddFile>& files() const { return files_; }
  // The columns that this version can read, in the table's order.
  std::vector<std::string> readable() const;

  struct Scanned {
    uint64_t files = 0;  // read
    uint64_t pruned = 0;
    uint64_t rows = 0;
    uint64_t deleted = 0;  // by deletion vectors, of the files that were read
  };
  using Visit = std::function<base::Result<void>(const columns::ColumnBatch&)>;
  // The rows of every file that may have one that fits the conditions: which rows do is the
  // caller's to see. Columns are in the order of `names`. Errors: kInvalidInput for a column that
  // is not there; kUnsupported for one of a type without a counterpart, and for files outside the
  // table; kCorruption for a file of another size than the log says, or damaged; those of `visit`.
  base::Result<Scanned> Scan(std::span<const std::string> names,
                             std::span<const Condition> conditions, const Visit& visit) const;

  // The same on demand, a file at a time: first which files may have such a row, by their numbers
  // in files(), then the rows of one of them. Errors: as Scan.
  base::Result<std::vector<size_t>> Candidates(std::span<const Condition> conditions) const;
  base::Result<std::unique_ptr<FileRows>> OpenFile(size_t number,
                                                   std::span<const std::string> names) const;

 private:
  DeltaReader(env::Environment& environment, std::string folder);
  struct Wanted;
  base::Result<Wanted> Choose(std::span<const std::string> names) const;
  base::Result<std::unique_ptr<FileRows>> Open(const AddFile& file, const Wanted& wanted) const;

  env::Environment& environment_;
  const std::string folder_;
  LogState state_;
  TableColumns columns_;
  std::vector<AddFile> files_;
};

// The rows of one data file. Not thread-safe; may outlive the reader that opened it.
class FileRows {
 public:
  // Text of the columns of partitions in a part, at most; of one row they may have more.
  static constexpr uint64_t kConstantBytesMax = 8 << 20;
  virtual ~FileRows() = default;
  // Nothing after the last part. Errors: kCorruption, kIoError.
  virtual base::Result<std::optional<columns::ColumnBatch>> Next() = 0;
  virtual uint64_t deleted() const = 0;  // by its deletion vector
};

}  // namespace headrace::tables::delta
