#pragma once
// The rows of one stream that were logged before, by position: from the table where the log has let
// them go, from the log where it holds them. None twice, none missing. Of a derived stream those of
// its root are read, and its own made of them again, unless they depend on other rows.
//
// 1. The table's files up to the first epoch whose rows the log holds, one at a time. Where files
// were
//    rewritten, and their rows stand in another order, those of some epochs at a time: the files
//    are read once for their positions, and then once for each such piece.
// 2. From there the log, some epochs at a time.
// When the log lets more go meanwhile, step 1 begins again behind what was read.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/memory_budget.h"
#include "base/result.h"
#include "env/environment.h"
#include "log/reader.h"
#include "pipeline/views/view_set.h"
#include "tables/table_reader.h"

namespace headrace::wiring {

// Where a stream's rows are. The definition outlives what reads them.
struct HistorySource {
  const pipeline::PipelineDefinition& definition;
  size_t number = 0;    // of the stream in it, and in what is handed out
  base::StreamId id;    // of its root, which is the stream itself unless it is derived
  base::EpochId after;  // rows of epochs up to it are not wanted
  std::string data_folder;
};

// Why rows of `stream` of epochs after `after` can't be read any more; nothing when all can.
// `first` is the first epoch whose rows the log holds: of a stream with a table it lets none go
// that is not there.
std::optional<std::string> GoneBecause(const pipeline::PipelineDefinition& definition,
                                       size_t stream, base::EpochId after, base::EpochId first);

// Not thread-safe. Reads beside a running engine or without one.
class StreamHistory {
 public:
  static constexpr size_t kSliceRows = 1 << 13;          // handed out at once
  static constexpr uint64_t kReadBytes = 4 << 20;        // of the log, read at once
  static constexpr uint64_t kReadEpochs = 4096;          // likewise
  static constexpr int kBeginningsMax = 8;               // before it is given up
  static constexpr uint64_t kSliceTextBytes = 64 << 20;  // likewise, of rewritten files
  static constexpr size_t kSortedRows = 1 << 18;         // of rewritten files, put in order at once

  // Errors: kFailedPrecondition when rows are gone, with the reason; those of log and table.
  static base::Result<std::unique_ptr<StreamHistory>> Open(env::Environment& environment,
                                                           base::MemoryBudget& budget,
                                                           HistorySource source);

  // The next rows, of epochs up to `until`, which the log has; nothing when there are no more.
  // Errors: as Open; kUnsupported for rows that do not stand in the order of their positions;
  // kResourceExhausted.
  base::Result<std::optional<pipeline::HistoryRows>> Next(base::EpochId until);
  // From table and log; of a derived stream those of its root.
  uint64_t rows_read() const { return rows_read_; }
  // The last epoch whose rows were all handed out, or have none.
  base::EpochId through() const { return slices_.empty() ? read_ : handed_out_; }

 private:
  StreamHistory(env::Environment& environment, base::MemoryBudget& budget, HistorySource source);
  base::Result<void> Begin();
  base::Result<void> OpenTable(base::EpochId first);
  base::Result<void> Read(base::EpochId until);
  base::Result<void> ReadTable();
  base::Result<void> ReadInOrder(size_t file);
  base::Result<void> CutPieces(const std::vector<size_t>& files);
  base::Result<void> ReadPiece(const std::vector<size_t>& files);
  base::Result<void> ReadLog(base::EpochId until);
  base::Result<void> Keep(const columns::ColumnBatch& rows,
                          std::vector<columns::Position> positions);
  base::Result<void> Put(pipeline::HistoryRows slice);
  base::Result<void> CountUnnested(size_t stream, const pipeline::UnnestedSize& lists,
                                   base::EpochId epoch);
  columns::Position NextPosition(base::EpochId epoch);

  env::Environment& environment_;
  base::MemoryBudget& budget_;
  const HistorySource source_;
  const size_t root_;                     // of the definition
  const bool unnests_;                    // the stream, or one that it is derived from
  const tables::PublishedStream stream_;  // the root
  std::unique_ptr<log::LogReader> log_;
  std::unique_ptr<tables::TableReader> table_;  // null once the log is read
  std::vector<tables::TableReader::Stretch> stretches_;
  size_t next_stretch_ = 0;
  std::deque<base::EpochId> piece_ends_;  // of a stretch that is put in order, but for those read
  base::EpochId piece_after_;
  base::EpochId table_until_;  // epochs after it are read from the log
  base::EpochId read_;         // epochs up to it were read
  base::EpochId handed_out_;
  columns::Position last_;  // of what was read
  uint64_t rows_read_ = 0;
  std::deque<pipeline::HistoryRows> slices_;
  base::EpochId derived_epoch_;  // of the derived row that was made last
  uint64_t derived_rows_ = 0;    // that were made of this epoch's rows
  // By stream: rows that lists of an epoch became, before conditions.
  std::map<size_t, std::pair<base::EpochId, pipeline::UnnestedSize>> unnested_;
  base::MemoryCharge charge_;
  int beginnings_ = 0;
};

}  // namespace headrace::wiring
