#include "tables/table_reader.h"

#include <map>
#include <utility>

#include "tables/delta/delta_table.h"
#include "tables/parquet/parquet_reader.h"
#include "tables/publish/plan.h"

namespace headrace::tables {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

// A part of a file, its last three columns being the position and known_at, as rows of `wanted`.
Result<PositionedRows> Split(const columns::ColumnBatch& part, const columns::SchemaRef& wanted) {
  const size_t fields = wanted->size();
  const auto epochs = part.column(fields).Int64s();
  const auto numbers = part.column(fields + 1).Int32s();
  const auto known_at = part.column(fields + 2).Int64s();
  PositionedRows rows;
  rows.positions.reserve(part.rows());
  for (size_t row = 0; row < part.rows(); ++row) {
    const bool in_range = epochs[row] > 0 && epochs[row] < (1LL << 40) && numbers[row] >= 0 &&
                          static_cast<uint64_t>(numbers[row]) < columns::Position::kRowsMax;
    if (!in_range) return Fail(ErrorCode::kCorruption, "a row whose position is no position");
    rows.positions.push_back(columns::Position::Of({static_cast<uint64_t>(epochs[row])},
                                                   static_cast<uint64_t>(numbers[row])));
  }
  rows.known_at.assign(known_at.begin(), known_at.end());
  std::vector<columns::Column> columns(part.columns().begin(),
                                       part.columns().begin() + static_cast<ptrdiff_t>(fields));
  rows.rows = columns::ColumnBatch(wanted, part.rows(), std::move(columns));
  return rows;
}

}  // namespace

TableReader::TableReader(env::Environment& environment, std::unique_ptr<delta::DeltaTable> table)
    : environment_(environment), table_(std::move(table)) {}
TableReader::~TableReader() = default;

Result<std::unique_ptr<TableReader>> TableReader::Open(env::Environment& environment,
                                                       const std::string& folder) {
  HR_TRY(auto table, delta::DeltaTable::Open(environment, folder, delta::Keep::kFiles));
  return std::unique_ptr<TableReader>(new TableReader(environment, std::move(table)));
}

int64_t TableReader::version() const { return table_->snapshot().version; }
size_t TableReader::files() const { return table_->snapshot().files.size(); }

uint64_t TableReader::rows() const {
  uint64_t rows = 0;
  for (const delta::AddFile& file : table_->snapshot().files) rows += file.rows;
  return rows;
}

std::optional<base::EpochId> TableReader::Marker(const base::LogId& log,
                                                 const std::string& stream) const {
  const auto& transactions = table_->snapshot().transactions;
  const auto found = transactions.find(ApplicationId(log, stream));
  if (found == transactions.end()) return std::nullopt;
  return base::EpochId{found->second.version};
}

Result<std::vector<size_t>> TableReader::FilesOf(const base::LogId& log,
                                                 base::StreamId stream) const {
  const auto planned = [&](const std::string& path) {
    const auto file = ParseFileName(log, path);
    return file && file->plan.stream == stream ? file : std::nullopt;
  };
  for (const std::string& path : table_->snapshot().removed)
    if (planned(path))
      return Fail(base::Error(ErrorCode::kUnsupported,
                              "data files of the table were rewritten or removed: nothing tells "
                              "where their rows stand in the log")
                      .With("table", table_->folder())
                      .With("file", path));
  std::map<std::pair<base::EpochId, uint64_t>, size_t> in_order;
  base::EpochId told{0};  // up to where the files found so far tell
  bool others = false;
  for (size_t i = 0; i < files(); ++i) {
    const auto file = planned(table_->snapshot().files[i].path);
    others |= !file;
    if (file) in_order[{file->plan.after, file->number}] = i;
  }
  // A checkpoint by another writer forgets removals after a while. What may have been rewritten
  // then shows as files of others, or as a gap between ours.
  bool gap = false;
  for (const auto& [position, number] : in_order) {
    gap |= position.first > told;
    told = planned(table_->snapshot().files[number].path)->plan.last;
  }
  if (!table_->snapshot().removals_known && (others || gap))
    return Fail(base::Error(ErrorCode::kUnsupported,
                            "another writer has made a checkpoint of the table, and not all of its "
                            "files are ours: nothing tells whether some of ours were rewritten")
                    .With("table", table_->folder()));
  std::vector<size_t> numbers;
  for (const auto& [position, number] : in_order) numbers.push_back(number);
  return numbers;
}

Result<void> TableReader::ScanFile(size_t number, const columns::SchemaRef& wanted,
                                   const VisitRows& visit) const {
  HR_TRY(const columns::SchemaRef with_positions, TableSchema(*wanted));
  const delta::AddFile& file = table_->snapshot().files[number];
  const std::string path = table_->folder() + "/" + file.path;
  if (file.deletion_vector) {
    return Fail(base::Error(ErrorCode::kUnsupported,
                            "a data file with a deletion vector, which this version does not read")
                    .With("file", path));
  }
  HR_TRY(const auto reader, ParquetReader::Open(environment_.files(), path, file.checksum));
  return reader->Scan(with_positions, [&](const columns::ColumnBatch& part) -> Result<void> {
    HR_TRY(const PositionedRows rows, Split(part, wanted));
    return visit(rows);
  });
}

Result<void> TableReader::Scan(const columns::SchemaRef& wanted, const VisitRows& visit) const {
  for (size_t file = 0; file < files(); ++file) HR_TRY_VOID(ScanFile(file, wanted, visit));
  return {};
}

}  // namespace headrace::tables
