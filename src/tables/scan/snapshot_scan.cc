#include "tables/scan/snapshot_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "columns/conform.h"
#include "columns/schema_evolution.h"
#include "tables/publish/made_rows.h"
#include "tables/publish/plan.h"
#include "tables/stream_rows.h"
#include "tables/table_reader.h"

namespace headrace::tables {
namespace {

using base::EpochId;
using base::Error;
using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::ColumnBatch;
using delta::Condition;

constexpr int kVersionsTried = 5;

// The first columns of `schema` out of `rows`, which has them first; or its columns at `fields`.
ColumnBatch Project(const columns::SchemaRef& schema, const ColumnBatch& rows,
                    const std::vector<size_t>* fields = nullptr) {
  std::vector<columns::Column> columns;
  for (size_t i = 0; i < schema->size(); ++i)
    columns.push_back(rows.column(fields == nullptr ? i : (*fields)[i]));
  return {schema, rows.rows(), std::move(columns)};
}

// Rows of epochs up to `last`.
ColumnBatch UpTo(EpochId last, const ColumnBatch& rows, size_t epoch_column) {
  const auto epochs = rows.column(epoch_column).Int64s();
  const auto within = [last](int64_t epoch) { return epoch <= static_cast<int64_t>(last.value); };
  if (std::ranges::all_of(epochs, within)) return rows;
  std::vector<uint32_t> kept;
  for (size_t row = 0; row < rows.rows(); ++row)
    if (within(epochs[row])) kept.push_back(static_cast<uint32_t>(row));
  return rows.Take(kept);
}

// What was there when the scan began, and is not any more, is no damage: somebody let it go.
std::unexpected<Error> WentAway(Error error, const char* what) {
  const ErrorCode code = error.code();
  if (code != ErrorCode::kNotFound && code != ErrorCode::kFailedPrecondition)
    return Fail(std::move(error));
  return Fail(Error(ErrorCode::kUnavailable,
                    fmt::format("{} went away while the table was being read: begin again", what))
                  .With("error", error.ToString()));
}

}  // namespace

SnapshotScan::SnapshotScan(env::Environment& environment, ScanSource source, ScanColumns columns)
    : environment_(environment),
      source_(std::move(source)),
      columns_(std::move(columns)),
      pass_(environment, env::WorkClass::kSlowTables,
            fmt::format("scan of {}: {}", source_.stream.name, base::FormatDuration(kYieldMax)),
            std::chrono::duration_cast<env::MonotonicTime>(kYieldMax)) {
  figures_.epoch = source_.epoch;
}

Result<std::unique_ptr<SnapshotScan>> SnapshotScan::Open(env::Environment& environment,
                                                         base::MemoryBudget& budget,
                                                         ScanSource source,
                                                         const ScanRequest& request) {
  HR_TRY(ScanColumns columns,
         ScanColumns::Make(source.stream, request, environment.clock().Wall()));
  std::unique_ptr<SnapshotScan> scan(
      new SnapshotScan(environment, std::move(source), std::move(columns)));
  HR_TRY(scan->log_, log::LogReader::Open(environment, scan->source_.log_folder));
  if (!scan->source_.table_folder.empty()) {
    HR_TRY_VOID(scan->OpenTable());
    HR_TRY_VOID(scan->CheckMarker());
  }
  HR_TRY_VOID(scan->FindTail());
  HR_TRY_VOID(scan->Charge(budget));
  return scan;
}

// The newest version. Whose its files are is mostly told by their names; where some are of others,
// by all that the version says, so that both must be of one.
Result<void> SnapshotScan::OpenVersion() {
  for (int attempt = 1;; ++attempt) {
    auto opened = delta::DeltaReader::Open(environment_, source_.table_folder);
    if (!opened && opened.error().code() == ErrorCode::kNotFound) return {};
    HR_TRY(table_, std::move(opened));
    const auto& files = table_->files();
    figures_.files_of_others =
        static_cast<uint64_t>(std::ranges::count_if(files, [this](const delta::AddFile& file) {
          return !IsFileOf(log_->log(), source_.stream.id, file.path);
        }));
    if (figures_.files_of_others == 0 || source_.of_others == RowsOfOthers::kRead) return {};
    HR_TRY(const auto reader, TableReader::Open(environment_, source_.table_folder));
    if (reader->version() != table_->state().version && attempt < kVersionsTried) continue;
    if (reader->version() != table_->state().version)
      return Fail(ErrorCode::kUnavailable, "the table moves on faster than it is opened: retry");
    HR_TRY(const auto ours, reader->FindOurs(log_->log(), source_.stream.id));
    figures_.rewritten_by_others = ours.rewritten_by_others;
    for (const size_t file : ours.of_others) of_others_.insert(reader->NameOf(file));
    return {};
  }
}

Result<void> SnapshotScan::OpenTable() {
  HR_TRY_VOID(OpenVersion());
  if (table_ == nullptr) return {};
  figures_.table_version = table_->state().version;
  const auto& markers = table_->state().transactions;
  const auto marker = markers.find(ApplicationId(log_->log(), source_.stream.name));
  const auto fail = [this](const char* why) {
    return Fail(Error(ErrorCode::kConflict, why).With("table", source_.table_folder));
  };
  if (marker == markers.end()) {
    const bool others = std::ranges::any_of(
        markers, [](const auto& each) { return each.first.starts_with("headrace/"); });
    if (others)
      return fail("the table belongs to another log, so its rows can't be joined to this one's");
    table_.reset();  // nothing of this log is in it yet
    return {};
  }
  figures_.marker = {marker->second.version};
  HR_TRY_VOID(ChooseColumns());
  const EpochId last = std::min(figures_.marker, source_.epoch);
  std::vector<Condition> conditions = columns_.filter.conditions();
  std::erase_if(conditions, [this](const Condition& condition) {
    const delta::TableColumn* column = table_->columns().Named(condition.column);
    const auto field = columns_.table->IndexOf(condition.column);
    // The bounds of one that was widened lately are of the narrower type.
    return column == nullptr || (field && column->held != columns_.table->field(*field).type);
  });
  conditions.push_back({.column = kEpochColumn,
                        .is = Condition::Is::kAtMost,
                        .value = columns::Value::Int64(static_cast<int64_t>(last.value))});
  HR_TRY(candidates_, table_->Candidates(conditions));
  std::erase_if(candidates_,
                [this](size_t file) { return of_others_.contains(table_->files()[file].path); });
  figures_.files_left_out = table_->files().size() - candidates_.size();
  return {};
}

// A field that was added lately is in the log before it is in the table.
Result<void> SnapshotScan::ChooseColumns() {
  for (const columns::Field& field : columns_.table->fields()) {
    const delta::TableColumn* column = table_->columns().Named(field.name);
    // One that was widened lately, likewise; or the table is ahead of what is visible.
    if (column != nullptr && column->held &&
        (*column->held == field.type || columns::IsWidening(*column->held, field.type) ||
         columns::IsWidening(field.type, *column->held)))
      continue;
    if (column == nullptr && field.nullable == columns::Nullable::kYes) continue;
    return Fail(Error(ErrorCode::kConflict,
                      fmt::format("column `{}` of the table is {}, of the stream {}", field.name,
                                  column == nullptr ? "missing" : column->type,
                                  columns::NameOf(field.type)))
                    .With("table", source_.table_folder));
  }
  for (const std::string& name : columns_.names)
    if (table_->columns().Named(name) != nullptr) in_table_.push_back(name);
  return {};
}

// Table and log are of one history. A log that was restored from an older copy goes on with other
// epochs than those that the table has.
Result<void> SnapshotScan::CheckMarker() {
  const EpochId marker = figures_.marker;
  planned_ = source_.planned();
  const auto fail = [this](ErrorCode code, std::string why) {
    return Fail(Error(code, std::move(why)).With("table", source_.table_folder));
  };
  if (marker > planned_.through)
    return fail(ErrorCode::kConflict,
                fmt::format("the table has epochs up to {}, but the log has planned only up to {}: "
                            "the log was restored from an older copy",
                            marker.value, planned_.through.value));
  const MadeRows* made = source_.stream.made;
  if (made != nullptr && made->dropped_through() > marker)
    return fail(ErrorCode::kConflict,
                fmt::format("the table had epochs up to {} and has them up to {}: it was restored "
                            "from an older copy",
                            made->dropped_through().value, marker.value));
  HR_TRY(log_first_, log_->First());
  const bool lacks = planned_.first > marker && planned_.first <= source_.epoch;
  if (lacks && planned_.first < log_first_)
    return fail(ErrorCode::kFailedPrecondition,
                fmt::format("rows from epoch {} on are neither in the table nor in the log, which "
                            "begins with epoch {}",
                            planned_.first.value, log_first_.value));
  return {};
}

// The log must still have what the table does not.
Result<void> SnapshotScan::FindTail() {
  tail_read_ = figures_.marker;
  if (TailIsRead()) return {};
  const bool has_table = !source_.table_folder.empty();
  if (has_table && figures_.marker == planned_.through) {
    tail_read_ = std::max(figures_.marker, EpochId{log_first_.value - 1});
    return {};
  }
  auto after = LogGoesOnAfter(*log_, source_.stream, figures_.marker,
                              has_table ? LogKeeps::kUntilPublished : LogKeeps::kAsLongAsItDoes);
  if (!after && has_table)
    return Fail(std::move(after).error().With("table", source_.table_folder));
  HR_TRY(tail_read_, std::move(after));
  return {};
}

// All that it will hold, so that no scan fails in the middle for want of memory. A file of ours is
// read whole, as its checksum covers all of it.
Result<void> SnapshotScan::Charge(base::MemoryBudget& budget) {
  uint64_t largest = 0;
  for (const size_t number : candidates_) largest = std::max(largest, table_->files()[number].size);
  HR_TRY(charge_, budget.TryCharge(base::MemoryAccount::kTables, kWorkBytes + largest));
  return {};
}

Result<std::optional<ColumnBatch>> SnapshotScan::Next() {
  while (ready_.empty()) {
    if (stopped_ && stopped_()) return Fail(ErrorCode::kUnavailable, "the scan was ended");
    pass_.Wait();
    if (!TailIsRead()) {
      HR_TRY_VOID(ReadTail());
    } else if (file_ != nullptr || next_file_ < candidates_.size()) {
      HR_TRY_VOID(ReadTable());
    } else {
      return std::nullopt;
    }
  }
  ColumnBatch batch = std::move(ready_.front());
  ready_.pop_front();
  return batch;
}

Result<void> SnapshotScan::ReadTail() {
  const EpochId last{std::min(source_.epoch.value, tail_read_.value + kTailEpochs)};
  EpochId read = tail_read_;
  uint64_t bytes = 0;
  bool enough = false;
  std::vector<ColumnBatch> parts;
  const auto take = [&](EpochRows epoch) -> Result<void> {
    if (bytes >= kTailBytes) {
      enough = true;  // a scan of the log has no other way to be ended than an error
      return Fail(ErrorCode::kUnavailable, "enough was read");
    }
    read = epoch.epoch;
    bytes += epoch.rows.ByteSize();
    const ColumnBatch rows = columns::ConformTo(source_.stream.schema, epoch.rows);
    parts.push_back(Project(
        columns_.read, ToTableRows(columns_.table, epoch.epoch, rows, std::move(epoch.known_at)),
        &columns_.fields));
    return {};
  };
  auto scanned =
      ScanStreamRows(*log_, source_.stream, tail_read_, last, UnknownTime::kRefuse, take);
  if (!scanned && !enough) return WentAway(std::move(scanned).error(), "a segment of the log");
  tail_read_ = enough ? read : last;
  if (parts.empty()) return {};
  return Keep(ColumnBatch::Concat(parts), figures_.rows_from_log);
}

Result<void> SnapshotScan::ReadTable() {
  const auto fail = [this](Error error) {
    return WentAway(
        std::move(error).With("data_file", table_->files()[candidates_[next_file_]].path),
        "a data file");
  };
  if (file_ == nullptr) {
    auto opened = table_->OpenFile(candidates_[next_file_], in_table_);
    if (!opened) return fail(std::move(opened).error());
    file_ = std::move(*opened);
    ++figures_.files;
  }
  auto part = file_->Next();
  if (!part) return fail(std::move(part).error());
  if (!*part) {
    file_.reset();
    ++next_file_;
    return {};
  }
  const EpochId last = std::min(figures_.marker, source_.epoch);
  return Keep(UpTo(last, columns::ConformTo(columns_.read, **part), columns_.epoch_column),
              figures_.rows_from_table);
}

Result<void> SnapshotScan::Keep(const ColumnBatch& rows, uint64_t& count) {
  HR_TRY(const ColumnBatch fitting, columns_.filter.Apply(rows));
  count += fitting.rows();
  const ColumnBatch wanted = Project(columns_.wanted, fitting);
  if (wanted.rows() <= kBatchRows) {
    if (wanted.rows() > 0) ready_.push_back(wanted);
    return {};
  }
  for (size_t begin = 0; begin < wanted.rows(); begin += kBatchRows)
    ready_.push_back(wanted.Slice(begin, std::min(wanted.rows(), begin + kBatchRows)));
  return {};
}

}  // namespace headrace::tables
