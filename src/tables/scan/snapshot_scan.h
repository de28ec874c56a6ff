#pragma once
// The rows of one stream as of one epoch: its table's up to the marker and the log's after it,
// joined by position at the marker, so that none is there twice and none is missing.
//
//   1. The table's newest version is opened; its marker M says that it has exactly the rows of the
//      epochs up to M.
//   2. The log's tail (M, epoch] is read first, some epochs at a time: so the log need not keep it
//      for as long as the table takes.
//   3. Then the table's files, one at a time, without those that can't have a row that is wanted.
//
// Versions that are committed meanwhile don't matter: files of a version never change, and rows
// after M come from the log. An epoch before M is the rows of M without the later ones.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/memory_budget.h"
#include "base/result.h"
#include "env/background_gate.h"
#include "env/environment.h"
#include "log/reader.h"
#include "tables/delta/delta_reader.h"
#include "tables/scan/scan_columns.h"
#include "tables/scan/scan_request.h"
#include "tables/table_rows.h"

namespace headrace::tables {

// Rows that other writers appended to the table: they are its rows, and no history of the log.
enum class RowsOfOthers : uint8_t { kRead, kLeftOut };

// What the publisher knows of a table.
struct PlannedRows {
  base::EpochId through;  // its newest plan's last epoch; 0: none
  base::EpochId first;    // where the rows begin that it waits to publish; 0: it waits for none
};

// Where a stream's rows are.
struct ScanSource {
  PublishedStream stream;
  std::string table_folder;  // empty: the stream has no table
  std::string log_folder;
  // The log tells when every row up to it became known, and the rows of a joined stream up to it
  // are made.
  base::EpochId epoch;
  std::function<PlannedRows()> planned;  // when it is called; not without a table
  RowsOfOthers of_others = RowsOfOthers::kRead;
};

struct ScanFigures {
  base::EpochId epoch;
  base::EpochId marker;        // rows up to it are the table's; 0: all are the log's
  int64_t table_version = -1;  // -1: there is no table
  uint64_t files = 0;          // read, so far
  uint64_t files_left_out = 0;
  uint64_t files_of_others = 0;  // of the table: read or not, as was asked
  // Theirs and ours are not told apart by files, so none is left out: who wants the log's rows must
  // see that no position is there twice.
  bool rewritten_by_others = false;
  uint64_t rows_from_table = 0;  // so far, those that `where` let through
  uint64_t rows_from_log = 0;
};

// Not thread-safe. Whoever opens it keeps the log's epochs after the marker until TailIsRead(), and
// the table's files until it dies.
class SnapshotScan {
 public:
  // Named limits.
  static constexpr size_t kBatchRows = 1 << 16;  // handed out at once
  static constexpr uint64_t kTailBytes = 4
                                         << 20;  // of the log, read at once; one epoch may pass it
  static constexpr uint64_t kTailEpochs = 4096;  // likewise
  // Charged for what is decoded and filtered, beside the largest file that is read.
  static constexpr uint64_t kWorkBytes = 32 << 20;
  static constexpr base::Duration kYieldMax = std::chrono::seconds(2);  // to the governor, in all

  // `request` names columns and a condition; stream and epoch are the source's. Errors:
  // kInvalidInput for a column or a condition; kFailedPrecondition when rows are neither in the
  // table nor in the log any more; kConflict when table and log don't belong together;
  // kResourceExhausted; those of table and log.
  static base::Result<std::unique_ptr<SnapshotScan>> Open(env::Environment& environment,
                                                          base::MemoryBudget& budget,
                                                          ScanSource source,
                                                          const ScanRequest& request);

  const columns::SchemaRef& schema() const { return columns_.wanted; }
  // The next rows, at least one; nothing after the last. In no particular order. Errors:
  // kUnavailable when somebody took away what was being read: begin again; kCorruption, kIoError.
  base::Result<std::optional<columns::ColumnBatch>> Next();
  // Asked between pieces of work; once true, Next fails. Before the first Next.
  void StopWhen(std::function<bool()> stopped) { stopped_ = std::move(stopped); }
  bool TailIsRead() const { return tail_read_ >= source_.epoch; }
  const ScanFigures& figures() const { return figures_; }

 private:
  SnapshotScan(env::Environment& environment, ScanSource source, ScanColumns columns);
  base::Result<void> OpenTable();
  base::Result<void> OpenVersion();
  base::Result<void> ChooseColumns();
  base::Result<void> FindTail();
  base::Result<void> CheckMarker();
  base::Result<void> Charge(base::MemoryBudget& budget);
  base::Result<void> ReadTail();
  base::Result<void> ReadTable();
  base::Result<void> Keep(const columns::ColumnBatch& rows, uint64_t& count);

  env::Environment& environment_;
  const ScanSource source_;
  ScanColumns columns_;
  std::function<bool()> stopped_;
  env::BackgroundPass pass_;

  std::unique_ptr<log::LogReader> log_;
  PlannedRows planned_;                        // after the marker was read
  base::EpochId log_first_;                    // likewise
  std::unique_ptr<delta::DeltaReader> table_;  // null without one
  std::vector<std::string> in_table_;          // names of columns_.read that it has
  std::set<std::string> of_others_;            // files of it that are not read
  std::vector<size_t> candidates_;             // files of it
  size_t next_file_ = 0;
  std::unique_ptr<delta::FileRows> file_;  // being read
  base::EpochId tail_read_;                // epochs up to it are read, or the table's
  std::deque<columns::ColumnBatch> ready_;
  base::MemoryCharge charge_;
  ScanFigures figures_;
};

}  // namespace headrace::tables
