#include "tables/table_reader.h"

#include <algorithm>
#include <span>
#include <tuple>
#include <utility>

#include "columns/conform.h"
#include "columns/schema_evolution.h"
#include "tables/delta/delta_table.h"
#include "tables/delta/table_path.h"
#include "tables/maintenance/replaced_files.h"
#include "tables/maintenance/rewrite_plan.h"
#include "tables/parquet/parquet_reader.h"

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

base::Error MixedRows() {
  return {ErrorCode::kConflict,
          "another writer rewrote data files of the table, and appended rows with positions that "
          "are not theirs: nothing tells them from those of the log. Delete what was appended"};
}

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

namespace {

// A file with the positions that its rows may have.
struct PlacedFile {
  size_t number = 0;
  uint64_t in_plan = 0;  // its number in the publish plan
  PositionRange range;
  bool in_order = false;
};

// Nothing for a file that no plan of the stream made. Errors: kCorruption for one that was
// rewritten and does not tell.
Result<std::optional<PlacedFile>> PlaceOf(const base::LogId& log, base::StreamId stream,
                                          const delta::AddFile& file, size_t number) {
  constexpr uint64_t kEpochsMax = (1ULL << 40) - 1;
  if (const auto planned = ParseFileName(log, file.path)) {
    if (planned->plan.stream != stream || planned->plan.last.value > kEpochsMax)
      return std::nullopt;
    const PositionRange range{
        columns::Position::Of(planned->plan.after.Next(), 0),
        columns::Position::Of(planned->plan.last, columns::Position::kRowsMax - 1)};
    return PlacedFile{number, planned->number, range, true};
  }
  const auto rewritten = ParseRewrittenName(log, file.path);
  if (!rewritten || rewritten->stream != stream) return std::nullopt;
  const auto range = PositionsOf(file.Tag(kPositionsTag).value_or(""));
  if (range) return PlacedFile{number, 0, *range, file.Tag(kOrderTag) == kByPosition};
  return Fail(base::Error(ErrorCode::kCorruption,
                          "a rewritten file that does not tell where its rows stand in the log")
                  .With("file", file.path));
}

// Files that overlap, by their first positions, as stretches.
void AddStretches(std::span<const PlacedFile> files, std::vector<TableReader::Stretch>& stretches) {
  // Those of one publish plan have its epochs for a range, and are told apart by their numbers.
  const bool one_plan = std::ranges::all_of(files, [&](const PlacedFile& file) {
    return file.in_order && file.range.first == files.front().range.first &&
           file.range.last == files.front().range.last;
  });
  if (files.size() == 1)
    return stretches.push_back({{files.front().number}, files.front().in_order});
  if (!one_plan) stretches.emplace_back();
  for (const PlacedFile& file : files) {
    if (one_plan) {
      stretches.push_back({{file.number}, true});
    } else {
      stretches.back().files.push_back(file.number);
    }
  }
}

std::vector<TableReader::Stretch> StretchesOf(std::vector<PlacedFile> files) {
  std::ranges::sort(files, [](const PlacedFile& a, const PlacedFile& b) {
    return std::tie(a.range.first, a.in_plan) < std::tie(b.range.first, b.in_plan);
  });
  std::vector<TableReader::Stretch> stretches;
  for (size_t begin = 0; begin < files.size();) {
    columns::Position last = files[begin].range.last;
    size_t end = begin + 1;
    for (; end < files.size() && files[end].range.first <= last; ++end)
      last = std::max(last, files[end].range.last);
    AddStretches(std::span(files).subspan(begin, end - begin), stretches);
    begin = end;
  }
  return stretches;
}

struct PlacedFiles {
  std::vector<PlacedFile> files;
  std::optional<base::Error> rewritten;  // by others
};

Result<PlacedFiles> Place(const delta::DeltaTable& table, const base::LogId& log,
                          base::StreamId stream) {
  const delta::Snapshot& snapshot = table.snapshot();
  PlacedFiles placed;
  ReplacedFiles replaced;
  for (size_t i = 0; i < snapshot.files.size(); ++i) {
    const delta::AddFile& file = snapshot.files[i];
    HR_TRY(const auto place, PlaceOf(log, stream, file, i));
    if (!place) continue;
    placed.files.push_back(*place);
    if (const auto planned = ParseFileName(log, file.path)) replaced.Add(*planned);
    if (const auto tag = file.Tag(kReplacedTag)) {
      HR_TRY(const ReplacedFiles others, ReplacedFiles::Parse(*tag));
      replaced.Merge(others);
    }
  }
  const auto is_ours = [&](const std::string& path) -> std::optional<bool> {
    if (const auto file = ParseFileName(log, path))
      if (file->plan.stream == stream) return replaced.Contains(*file);
    if (const auto file = ParseRewrittenName(log, path))
      if (file->stream == stream) return replaced.Contains(*file);
    return std::nullopt;
  };
  for (const std::string& path : snapshot.removed) {
    if (is_ours(path) != false) continue;
    placed.rewritten = base::Error(ErrorCode::kUnsupported,
                                   "another writer rewrote or removed data files of the table: "
                                   "nothing tells where their rows stand in the log")
                           .With("table", table.folder())
                           .With("file", path);
    return placed;
  }
  // A checkpoint by another writer forgets removals after a while. What may have been rewritten
  // then shows as files of others, or as a gap between ours.
  const bool others = placed.files.size() < snapshot.files.size();
  if (!snapshot.removals_known && (others || !replaced.IsWholeFrom(base::EpochId{0})))
    placed.rewritten = base::Error(ErrorCode::kUnsupported,
                                   "another writer has made a checkpoint of the table, and not all "
                                   "of its files are ours: nothing tells whether some of ours were "
                                   "rewritten")
                           .With("table", table.folder());
  return placed;
}

}  // namespace

Result<std::vector<TableReader::Stretch>> TableReader::FilesOf(const base::LogId& log,
                                                               base::StreamId stream) const {
  HR_TRY(PlacedFiles placed, Place(*table_, log, stream));
  if (placed.rewritten) return Fail(*std::move(placed.rewritten));
  return StretchesOf(std::move(placed.files));
}

Result<TableReader::OurFiles> TableReader::FindOurs(const base::LogId& log,
                                                    base::StreamId stream) const {
  HR_TRY(const PlacedFiles placed, Place(*table_, log, stream));
  OurFiles ours{.files = {}, .of_others = {}, .rewritten_by_others = placed.rewritten.has_value()};
  auto place = placed.files.begin();  // by their numbers
  for (size_t file = 0; file < files(); ++file) {
    const bool is_placed = place != placed.files.end() && place->number == file;
    if (is_placed) ++place;
    (is_placed || ours.rewritten_by_others ? ours.files : ours.of_others).push_back(file);
  }
  return ours;
}

const std::string& TableReader::NameOf(size_t file) const {
  return table_->snapshot().files[file].path;
}

Result<void> TableReader::ScanFile(size_t number, const columns::SchemaRef& wanted,
                                   const VisitRows& visit) const {
  // A definition of before knows some of the columns narrower than they are by now.
  const columns::SchemaRef read_as = columns::AsWideAs(wanted, *table_->snapshot().schema);
  HR_TRY(const columns::SchemaRef with_positions, TableSchema(*read_as));
  const delta::AddFile& file = table_->snapshot().files[number];
  if (file.deletion_vector) {
    return Fail(base::Error(ErrorCode::kUnsupported,
                            "a data file with a deletion vector, which this version does not read")
                    .With("file", file.path));
  }
  HR_TRY(const std::string path,
         delta::PathInTable(environment_.files(), table_->folder(), file.path));
  HR_TRY(const auto reader, ParquetReader::Open(environment_.files(), path, file.checksum));
  return reader->Scan(with_positions, [&](const columns::ColumnBatch& part) -> Result<void> {
    HR_TRY(PositionedRows rows, Split(part, read_as));
    rows.rows = columns::ConformTo(wanted, rows.rows);
    return visit(rows);
  });
}

Result<void> TableReader::Scan(const columns::SchemaRef& wanted, const VisitRows& visit) const {
  for (size_t file = 0; file < files(); ++file) HR_TRY_VOID(ScanFile(file, wanted, visit));
  return {};
}

}  // namespace headrace::tables
