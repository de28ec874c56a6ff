#include "wiring/stream_history.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "columns/conform.h"
#include "columns/numbered_batches.h"
#include "pipeline/streams/derived_streams.h"
#include "pipeline/streams/unnest.h"
#include "tables/stepped_charge.h"
#include "tables/stream_rows.h"

namespace headrace::wiring {
namespace {

using base::EpochId;
using base::ErrorCode;
using base::Fail;
using base::Result;

tables::PublishedStream StreamOf(const HistorySource& source) {
  const pipeline::StreamDefinition& stream =
      source.definition.streams[source.definition.RootOf(source.number)];
  return {source.id, stream.name, stream.schema(), stream.timing.event_time_field, stream.known_at};
}

bool Unnests(const pipeline::PipelineDefinition& definition, size_t stream) {
  const auto& derivation = definition.streams[stream].derivation;
  return derivation != nullptr && (derivation->unnest || Unnests(definition, derivation->source));
}

uint64_t TextBytes(const columns::ColumnBatch& rows, size_t row) {
  uint64_t bytes = 0;
  for (const columns::Column& column : rows.columns())
    if (columns::IsVariable(column.type()) && !column.IsNull(row)) bytes += column.Text(row).size();
  return bytes;
}

}  // namespace

std::optional<std::string> GoneBecause(const pipeline::PipelineDefinition& definition,
                                       size_t stream, EpochId after, EpochId first) {
  if (definition.DependsOnOtherRows(stream)) {
    std::string why = fmt::format(
        "rows of stream {} depend on others, as it is joined or has no repeats, and those of "
        "before "
        "are not made again while the engine runs",
        definition.streams[stream].name);
    return why + (first.value <= 1 ? " (a start with the new file makes them)"
                                   : fmt::format(" (nor by a start, as the log holds rows from "
                                                 "epoch {} on)",
                                                 first.value));
  }
  const size_t root = definition.RootOf(stream);
  const bool has_table = std::ranges::any_of(
      definition.tables, [root](const auto& table) { return table.stream == root; });
  if (first <= after.Next() || has_table) return std::nullopt;
  return fmt::format(
      "the log holds rows from epoch {} on, and stream {} has no table with those before",
      first.value, definition.streams[root].name);
}

StreamHistory::StreamHistory(env::Environment& environment, base::MemoryBudget& budget,
                             HistorySource source)
    : environment_(environment),
      budget_(budget),
      source_(std::move(source)),
      root_(source_.definition.RootOf(source_.number)),
      unnests_(Unnests(source_.definition, source_.number)),
      stream_(StreamOf(source_)) {}

Result<std::unique_ptr<StreamHistory>> StreamHistory::Open(env::Environment& environment,
                                                           base::MemoryBudget& budget,
                                                           HistorySource source) {
  if (source.definition.DependsOnOtherRows(source.number))
    return Fail(ErrorCode::kFailedPrecondition,
                *GoneBecause(source.definition, source.number, source.after, {}));
  std::unique_ptr<StreamHistory> history(new StreamHistory(environment, budget, std::move(source)));
  HR_TRY(history->log_, log::LogReader::Open(environment, history->source_.data_folder + "/log"));
  history->read_ = history->source_.after;
  HR_TRY_VOID(history->Begin());
  return history;
}

Result<void> StreamHistory::Begin() {
  if (++beginnings_ > kBeginningsMax)
    return Fail(ErrorCode::kUnavailable,
                "the log lets rows go faster than their history is read: retry");
  table_.reset();
  HR_TRY(const EpochId first, log_->First());
  return first > read_.Next() ? OpenTable(first) : Result<void>();
}

Result<void> StreamHistory::OpenTable(EpochId first) {
  if (auto gone = GoneBecause(source_.definition, source_.number, read_, first))
    return Fail(base::Error(ErrorCode::kFailedPrecondition, std::move(*gone)));
  // There is one even of a stream without rows: its publisher makes it at its first start.
  HR_TRY(auto table,
         tables::TableReader::Open(environment_, source_.data_folder + "/tables/" + stream_.name));
  const EpochId marker = table->Marker(log_->log(), stream_.name).value_or(EpochId{0});
  HR_TRY_VOID(tables::LogGoesOnAfter(*log_, stream_, marker, tables::LogKeeps::kUntilPublished));
  table_until_ = EpochId{first.value - 1};
  HR_TRY(stretches_, table->FilesOf(log_->log(), stream_.id));
  table_ = std::move(table);
  next_stretch_ = 0;
  piece_ends_.clear();
  return {};
}

Result<std::optional<pipeline::HistoryRows>> StreamHistory::Next(EpochId until) {
  if (!slices_.empty()) {
    handed_out_ = slices_.front().positions.back().epoch();
    auto slice = std::move(slices_.front());
    slices_.pop_front();
    return slice;
  }
  charge_.Release();
  while (slices_.empty() && read_ < until) HR_TRY_VOID(Read(until));
  if (slices_.empty()) return std::nullopt;
  return Next(until);
}

Result<void> StreamHistory::Read(EpochId until) {
  HR_TRY_VOID(table_ != nullptr ? ReadTable() : ReadLog(until));
  uint64_t bytes = 0;
  for (const pipeline::HistoryRows& slice : slices_) bytes += slice.rows.ByteSize();
  if (bytes == 0) return {};
  HR_TRY(charge_, budget_.TryCharge(base::MemoryAccount::kTables, bytes));
  return {};
}

Result<void> StreamHistory::ReadTable() {
  if (next_stretch_ == stretches_.size()) {
    read_ = table_until_;
    table_.reset();
    return {};
  }
  const tables::TableReader::Stretch& stretch = stretches_[next_stretch_];
  if (stretch.in_order) {
    ++next_stretch_;
    return ReadInOrder(stretch.files.front());
  }
  if (piece_ends_.empty()) HR_TRY_VOID(CutPieces(stretch.files));
  if (!piece_ends_.empty()) HR_TRY_VOID(ReadPiece(stretch.files));
  if (piece_ends_.empty()) ++next_stretch_;
  return {};
}

Result<void> StreamHistory::ReadInOrder(size_t file) {
  const auto keep = [&](const tables::PositionedRows& part) -> Result<void> {
    const auto& positions = part.positions;
    const auto begin = std::ranges::partition_point(
        positions, [&](columns::Position p) { return p.epoch() <= read_; });
    const auto end = std::partition_point(
        begin, positions.end(), [&](columns::Position p) { return p.epoch() <= table_until_; });
    return Keep(part.rows.Slice(static_cast<size_t>(begin - positions.begin()),
                                static_cast<size_t>(end - positions.begin())),
                {begin, end});
  };
  return table_->ScanFile(file, stream_.schema, keep);
}

// Whole epochs, as many as make about kSortedRows rows.
Result<void> StreamHistory::CutPieces(const std::vector<size_t>& files) {
  const auto none = std::make_shared<const columns::Schema>(std::vector<columns::Field>{});
  std::map<EpochId, size_t> rows;
  for (const size_t file : files)
    HR_TRY_VOID(
        table_->ScanFile(file, none, [&](const tables::PositionedRows& part) -> Result<void> {
          for (const columns::Position position : part.positions)
            if (position.epoch() > read_ && position.epoch() <= table_until_)
              ++rows[position.epoch()];
          return {};
        }));
  piece_after_ = read_;
  size_t in_piece = 0;
  EpochId before;
  for (const auto& [epoch, count] : rows) {
    if (in_piece > 0 && in_piece + count > kSortedRows) {
      piece_ends_.push_back(before);
      in_piece = 0;
    }
    in_piece += count;
    before = epoch;
  }
  if (in_piece > 0) piece_ends_.push_back(before);
  return {};
}

Result<void> StreamHistory::ReadPiece(const std::vector<size_t>& files) {
  const EpochId last = piece_ends_.front();
  std::vector<columns::ColumnBatch> parts;
  std::vector<columns::Position> positions;
  std::vector<uint64_t> text_bytes;  // by row
  tables::SteppedCharge charge(budget_);
  uint64_t bytes_taken = 0;
  const auto take = [&](const tables::PositionedRows& part) -> Result<void> {
    std::vector<uint32_t> wanted;
    for (size_t row = 0; row < part.positions.size(); ++row) {
      const EpochId epoch = part.positions[row].epoch();
      if (epoch <= piece_after_ || epoch > last) continue;
      wanted.push_back(static_cast<uint32_t>(row));
      positions.push_back(part.positions[row]);
      text_bytes.push_back(TextBytes(part.rows, row));
    }
    if (wanted.empty()) return {};
    parts.push_back(part.rows.Take(wanted));
    bytes_taken += parts.back().ByteSize();
    return charge.Cover(2 * bytes_taken);  // they are copied once more, in order
  };
  for (const size_t file : files) HR_TRY_VOID(table_->ScanFile(file, stream_.schema, take));
  piece_after_ = last;
  piece_ends_.pop_front();
  if (parts.empty()) return {};
  std::vector<uint32_t> order(positions.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, {}, [&](uint32_t row) { return positions[row]; });
  const columns::NumberedBatches batches(std::move(parts));
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    std::vector<columns::Position> of_slice;
    for (uint64_t bytes = 0; end < order.size() && end - begin < kSliceRows; ++end) {
      bytes += text_bytes[order[end]];
      if (bytes > kSliceTextBytes && end > begin) break;
      of_slice.push_back(positions[order[end]]);
    }
    const auto rows = std::span(order).subspan(begin, end - begin);
    HR_TRY_VOID(Keep(batches.Take(rows), std::move(of_slice)));
    begin = end;
  }
  return {};
}

Result<void> StreamHistory::ReadLog(EpochId until) {
  uint64_t bytes = 0;
  bool enough = false;
  const auto take = [&](const log::EpochRef& epoch) -> Result<void> {
    if (bytes >= kReadBytes) {
      enough = true;  // a scan has no other way to be ended than an error
      return Fail(ErrorCode::kUnavailable, "enough was read");
    }
    read_ = epoch->id;
    const columns::ColumnBatch* rows = epoch->RowsOf(stream_.id);
    if (rows == nullptr) return {};
    bytes += rows->ByteSize();
    std::vector<columns::Position> positions;
    positions.reserve(rows->rows());
    for (size_t row = 0; row < rows->rows(); ++row)
      positions.push_back(columns::Position::Of(epoch->id, row));
    return Keep(*rows, std::move(positions));
  };
  const EpochId last{std::min(until.value, read_.value + kReadEpochs)};
  const EpochId before = read_;
  auto scanned = log_->Scan(read_.Next(), last, take);
  if (scanned && read_ < last)
    return Fail(base::Error(ErrorCode::kUnavailable, "the log does not reach that far yet: retry")
                    .With("epoch", std::to_string(last.value)));
  if (scanned || enough) return {};
  const ErrorCode code = scanned.error().code();
  const bool let_go = code == ErrorCode::kFailedPrecondition || code == ErrorCode::kUnavailable;
  return let_go && read_ == before ? Begin() : let_go ? Result<void>() : scanned;
}

// In pieces, to which a schema of the stream that had fewer fields is no obstacle: views conform.
Result<void> StreamHistory::Keep(const columns::ColumnBatch& rows,
                                 std::vector<columns::Position> positions) {
  if (positions.empty()) return {};
  const bool ascending = positions.front() > last_ && std::ranges::is_sorted(positions);
  if (!ascending)
    return Fail(ErrorCode::kUnsupported,
                "rows of the table do not stand in the order of their positions");
  last_ = positions.back();
  rows_read_ += positions.size();
  for (size_t begin = 0; begin < positions.size(); begin += kSliceRows) {
    const size_t end = std::min(positions.size(), begin + kSliceRows);
    HR_TRY_VOID(Put({.stream = source_.number,
                     .rows = rows.Slice(begin, end),
                     .positions = {positions.begin() + static_cast<ptrdiff_t>(begin),
                                   positions.begin() + static_cast<ptrdiff_t>(end)}}));
  }
  return {};
}

// Rows of lists are made epoch by epoch, as their limit is of each.
Result<void> StreamHistory::Put(pipeline::HistoryRows slice) {
  if (root_ == source_.number) {
    slices_.push_back(std::move(slice));
    return {};
  }
  const columns::ColumnBatch rows = columns::ConformTo(stream_.schema, slice.rows);
  for (size_t begin = 0, end = 0; begin < slice.positions.size(); begin = end) {
    const auto of_epoch = [epoch = slice.positions[begin].epoch()](columns::Position position) {
      return position.epoch() == epoch;
    };
    const auto from = slice.positions.begin() + static_cast<ptrdiff_t>(begin);
    const auto until = std::partition_point(from, slice.positions.end(), of_epoch);
    end = unnests_ ? static_cast<size_t>(until - slice.positions.begin()) : slice.positions.size();
    Result<void> counted;
    pipeline::DerivedRows derived =
        pipeline::DeriveFromRoot(source_.definition, source_.number, rows.Slice(begin, end),
                                 [&](size_t stream, const pipeline::UnnestedSize& lists) {
                                   if (counted)
                                     counted = CountUnnested(stream, lists, from->epoch());
                                 });
    HR_TRY_VOID(counted);
    if (derived.from.empty()) continue;
    pipeline::HistoryRows made{
        .stream = source_.number, .rows = std::move(derived.rows), .positions = {}};
    made.positions.reserve(derived.from.size());
    const bool keeps = source_.definition.KeepsPositions(source_.number);
    for (const uint32_t row : derived.from) {
      const columns::Position of = slice.positions[begin + row];
      made.positions.push_back(keeps ? of : NextPosition(of.epoch()));
    }
    slices_.push_back(std::move(made));
  }
  return {};
}

columns::Position StreamHistory::NextPosition(EpochId epoch) {
  if (epoch != std::exchange(derived_epoch_, epoch)) derived_rows_ = 0;
  return columns::Position::Of(epoch, derived_rows_++);
}

// Here are pieces of an epoch: what its lists became is counted before a condition leaves rows out,
// as which elements were left out live is not told by a piece.
Result<void> StreamHistory::CountUnnested(size_t stream, const pipeline::UnnestedSize& lists,
                                          EpochId epoch) {
  auto& [of_epoch, size] = unnested_[stream];
  if (epoch != std::exchange(of_epoch, epoch)) size = {};
  // Behind the first element that had no room there was none live.
  const bool beyond = size.full && lists.rows > 0;
  size.rows += lists.rows;
  size.text += lists.text;
  size.full |= lists.full;
  if (!beyond && size.rows <= pipeline::kUnnestedRowsMax && size.text <= pipeline::kUnnestedTextMax)
    return {};
  return Fail(base::Error(ErrorCode::kUnsupported,
                          "lists in one epoch have more elements, or text, than may become rows")
                  .With("epoch", std::to_string(epoch.value))
                  .With("rows_max", std::to_string(pipeline::kUnnestedRowsMax))
                  .With("text_max", std::to_string(pipeline::kUnnestedTextMax)));
}

}  // namespace headrace::wiring
