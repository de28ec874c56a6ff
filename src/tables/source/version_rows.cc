#include "tables/source/version_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>
#include <span>
#include <utility>

#include "base/hash.h"
#include "columns/batch_builder.h"
#include "columns/conform.h"
#include "columns/schema_evolution.h"
#include "tables/delta/delta_reader.h"
#include "tables/delta/log_replay.h"
#include "tables/delta/pruning.h"
#include "tables/delta/support.h"
#include "tables/parquet/column_selection.h"
#include "tables/stepped_charge.h"

namespace headrace::tables {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::ColumnBatch;
using columns::Type;
using delta::AddFile;
using RowHash = std::array<uint64_t, 2>;

constexpr uint64_t kOtherSeed = 0x9E3779B97F4A7C15;
constexpr uint64_t kFileBytes = 400;  // of a file in the list, beside its names
constexpr uint64_t kHashBytes = 80;   // of a row to compare with
constexpr uint64_t kValueBytes = 8;   // of a value in a piece, beside its text

constexpr int kWholeDigitsMax = 18;  // of a decimal that is an int64, whatever its digits

bool Becomes(const delta::TableColumn& column, Type wanted) {
  if (!column.held) return false;
  const Type held = *column.held;
  if (column.decimal && wanted == Type::kFloat64) return true;
  if (column.decimal && wanted == Type::kInt64)
    return column.decimal->scale == 0 && column.decimal->precision <= kWholeDigitsMax;
  return held == wanted || columns::IsWidening(held, wanted);
}

// The number that a decimal's text is; of doubles the nearest one.
template <typename Number>
Number NumberOf(const std::string& text) {
  Number number{};
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// Decimals are held as texts.
columns::Column Widen(const columns::Column& column, Type wanted) {
  if (column.type() != Type::kString || wanted == Type::kString)
    return columns::ConformTo(wanted, column);
  columns::ColumnBuilder builder(wanted);
  for (size_t row = 0; row < column.length(); ++row) {
    const columns::Value value = column.At(row);
    if (value.is_null()) {
      builder.AppendNull();
    } else if (wanted == Type::kInt64) {
      builder.AppendInt(NumberOf<int64_t>(value.as_text()));
    } else {
      builder.AppendDouble(NumberOf<double>(value.as_text()));
    }
  }
  return builder.Finish();
}

// By their names: a wider type makes no two values alike, and none larger.
Result<std::vector<size_t>> ColumnsOf(const columns::Schema& schema,
                                      const std::vector<std::string>& names) {
  std::vector<size_t> columns;
  for (const std::string& name : names) {
    const auto column = schema.IndexOf(name);
    if (!column)
      return Fail(ErrorCode::kConflict,
                  fmt::format("the version was begun with the field `{}`, which the contract does "
                              "not have any more",
                              name));
    columns.push_back(*column);
  }
  return columns;
}

Result<std::vector<size_t>> ComparedColumns(const WantedRows& wanted) {
  if (wanted.compared_by.empty())
    return Fail(ErrorCode::kConflict,
                "the version was begun by a build that did not log by which columns its new rows "
                "are told: end it with that build, before the contract gets other fields");
  return ColumnsOf(*wanted.schema, wanted.compared_by);
}

// Every value as text that no other value has, so that two rows are alike when their texts are.
RowHash HashOf(const ColumnBatch& rows, size_t row, std::span<const size_t> compared,
               std::string& text) {
  text.clear();
  for (const size_t column : compared) {
    rows.column(column).At(row).AppendJson(text);
    text += '\n';
  }
  return {base::Hash64(text), base::Hash64(text, kOtherSeed)};
}

uint64_t LiveRows(const AddFile& file) {
  const uint64_t deleted =
      file.deletion_vector ? static_cast<uint64_t>(file.deletion_vector->cardinality) : 0;
  return file.rows - std::min(deleted, file.rows);
}

// A file with what decides about its place.
struct Listed {
  AddFile file;
  std::optional<int64_t> least;  // event time, in microseconds
};

// Keeps the files of a version, without their statistics.
class Listing final : public delta::FileSink {
 public:
  Listing(const delta::TableColumns& columns, const std::string& event_time,
          base::MemoryBudget& budget)
      : columns_(columns), charge_(budget) {
    for (size_t i = 0; i < columns.columns.size(); ++i)
      if (columns.columns[i].name == event_time) event_time_ = i;
  }

  Result<void> Add(AddFile file) override {
    HR_TRY_VOID(charge_.Cover(bytes_ += kFileBytes + file.path.size()));
    Listed listed{.file = std::move(file), .least = {}};
    if (event_time_ && !listed.file.stats.empty())
      if (const auto least = delta::BoundsOf(columns_, listed.file)[*event_time_].least)
        listed.least = least->as_int();
    listed.file.stats = {};
    listed.file.tags = {};
    files_.push_back(std::move(listed));
    return {};
  }
  Result<void> Remove(delta::RemoveFile /*file*/) override { return {}; }
  void Restart() override {
    files_.clear();
    bytes_ = 0;
  }

  std::vector<AddFile> InOrder() {
    const bool timed =
        std::ranges::all_of(files_, [](const Listed& f) { return f.least.has_value(); });
    std::ranges::sort(files_, [timed](const Listed& a, const Listed& b) {
      const int64_t first = timed ? *a.least : a.file.modified_ms;
      const int64_t second = timed ? *b.least : b.file.modified_ms;
      if (first != second) return first < second;
      return delta::KeyOf(a.file.path, a.file.deletion_vector) <
             delta::KeyOf(b.file.path, b.file.deletion_vector);
    });
    std::vector<AddFile> files;
    files.reserve(files_.size());
    for (Listed& listed : files_) files.push_back(std::move(listed.file));
    return files;
  }
  SteppedCharge TakeCharge() { return std::move(charge_); }

 private:
  const delta::TableColumns& columns_;
  std::optional<size_t> event_time_;
  SteppedCharge charge_;
  uint64_t bytes_ = 0;
  std::vector<Listed> files_;
};

// Keeps those files that a commit took away.
class TakenAway final : public delta::FileSink {
 public:
  explicit TakenAway(const delta::Commit& commit) {
    for (const delta::RemoveFile& remove : commit.removes)
      if (remove.data_change) keys_.insert(delta::KeyOf(remove.path, remove.deletion_vector));
  }
  Result<void> Add(AddFile file) override {
    if (keys_.contains(delta::KeyOf(file.path, file.deletion_vector)))
      files.push_back(std::move(file));
    return {};
  }
  Result<void> Remove(delta::RemoveFile /*file*/) override { return {}; }
  void Restart() override { files.clear(); }

  std::vector<AddFile> files;

 private:
  std::set<std::string> keys_;
};

// The rows of one file after the other, as a stream wants them.
class FilesAsRows {
 public:
  FilesAsRows(std::unique_ptr<delta::DeltaReader> reader, columns::SchemaRef schema)
      : reader_(std::move(reader)), schema_(std::move(schema)) {
    for (const columns::Field& field : schema_->fields())
      if (reader_->columns().Named(field.name) != nullptr) names_.push_back(field.name);
  }
  const std::vector<AddFile>& files() const { return reader_->files(); }

  Result<std::unique_ptr<delta::FileRows>> Open(size_t number) const {
    auto rows = reader_->OpenFile(number, names_);
    if (!rows) return Fail(std::move(rows).error().With("data_file", files()[number].path));
    return rows;
  }
  // In the wanted schema; what the table lacks is null.
  Result<std::optional<ColumnBatch>> Next(delta::FileRows& rows, size_t number) const {
    auto part = rows.Next();
    if (!part) return Fail(std::move(part).error().With("data_file", files()[number].path));
    if (!*part) return std::nullopt;
    std::vector<columns::Column> all;
    size_t read = 0;
    for (const columns::Field& field : schema_->fields()) {
      const bool there = read < names_.size() && names_[read] == field.name;
      all.push_back(there ? Widen((*part)->column(read), field.type)
                          : columns::AllNullColumn(field.type, (*part)->rows()));
      read += there ? 1 : 0;
    }
    return ColumnBatch(schema_, (*part)->rows(), std::move(all));
  }

 private:
  std::unique_ptr<delta::DeltaReader> reader_;
  columns::SchemaRef schema_;
  std::vector<std::string> names_;  // in the schema's order
};

// The rows of the files that a commit took away, as often as they were there.
struct TakenRows {
  std::vector<size_t> compared;  // the columns that tell them
  std::map<RowHash, uint64_t> counts;
};

class Pieces final : public VersionRows {
 public:
  Pieces(FilesAsRows files, const WantedRows& wanted, base::MemoryBudget& budget,
         SteppedCharge list, std::optional<TakenRows> removed, SteppedCharge compared)
      : files_(std::move(files)),
        wanted_(wanted),
        list_charge_(std::move(list)),
        removed_(std::move(removed)),
        compared_charge_(std::move(compared)),
        part_charge_(budget) {
    for (const AddFile& file : files_.files()) {
      hash_ = base::Hash64(delta::KeyOf(file.path, file.deletion_vector), hash_);
      rows_ += LiveRows(file);
    }
  }

  uint64_t files_hash() const override { return hash_; }
  size_t files() const override { return files_.files().size(); }
  size_t files_done() const override { return file_; }
  uint64_t rows() const override { return rows_; }
  uint64_t rows_gone() const override {
    uint64_t gone = 0;
    if (removed_)
      for (const auto& [hash, count] : removed_->counts) gone += count;
    return gone;
  }

  VersionPlace place() const override {
    return {.file = file_, .row = at_ < numbers_.size() ? numbers_[at_] : row_};
  }

  Result<void> Skip(const Taken& taken) override {
    HR_TRY_VOID(PassTo(taken.place));
    HR_TRY(const RowSize size, SizeBy(taken.limits.fields));
    for (uint64_t pieces = taken.pieces; pieces > 0;) {
      const bool counted = open_ == nullptr && !removed_ && taken.limits.bytes == 0 &&
                           file_ < files() && files_.files()[file_].rows != 0;
      const uint64_t of_file =
          counted ? (LiveRows(files_.files()[file_]) + taken.limits.rows - 1) / taken.limits.rows
                  : 0;
      if (counted && of_file <= pieces) {
        pieces -= of_file;
        ++file_;
        continue;
      }
      HR_TRY(const bool passed, Gather(taken.limits, size, [](size_t, size_t) {}));
      if (!passed) return TooFewRows();
      --pieces;
    }
    return {};
  }

  Result<std::optional<SourcePiece>> Next() override {
    HR_TRY(const RowSize size, SizeBy(wanted_.limits.fields));
    SourcePiece piece;
    std::vector<ColumnBatch> stretches;
    uint64_t bytes = 0;
    HR_TRY(const bool gathered, Gather(wanted_.limits, size, [&](size_t begin, size_t end) {
             stretches.push_back(rows_held_.Slice(begin, end));
             bytes += stretches.back().ByteSize();
             piece.row_numbers.insert(piece.row_numbers.end(),
                                      numbers_.begin() + static_cast<ptrdiff_t>(begin),
                                      numbers_.begin() + static_cast<ptrdiff_t>(end));
           }));
    if (!gathered) return std::nullopt;
    HR_TRY_VOID(part_charge_.Cover(rows_held_.ByteSize() + 2 * bytes));
    piece.rows = ColumnBatch::Concat(stretches);
    piece.file = files_.files()[file_].path;
    return piece;
  }

 private:
  // What a row counts for.
  struct RowSize {
    uint64_t values = 0;
    std::vector<size_t> texts;  // columns whose bytes come on top
  };
  Result<RowSize> SizeBy(const std::vector<std::string>& fields) const {
    HR_TRY(const std::vector<size_t> columns, ColumnsOf(*wanted_.schema, fields));
    RowSize size{.values = kValueBytes * columns.size(), .texts = {}};
    for (const size_t column : columns)
      if (columns::IsVariable(wanted_.schema->field(column).type)) size.texts.push_back(column);
    return size;
  }
  uint64_t BytesAt(size_t row, const RowSize& size) const {
    uint64_t bytes = size.values;
    for (const size_t index : size.texts) {
      const columns::Column& column = rows_held_.column(index);
      if (!column.IsNull(row)) bytes += column.Text(row).size();
    }
    return bytes;
  }

  // Passes over the next piece, and gives `take` its rows, [begin, end) of rows_held_, stretch by
  // stretch. False after the last piece.
  template <typename Take>
  Result<bool> Gather(const PieceLimits& limits, const RowSize& size, Take take) {
    uint32_t rows = 0;
    uint64_t bytes = 0;
    while (true) {
      if (at_ == numbers_.size()) {
        if (rows > 0 && ended_) return true;
        HR_TRY(const bool more, ReadOn());
        if (!more) return rows > 0;
        continue;
      }
      size_t end = at_;
      bool full = false;
      for (; end < numbers_.size(); ++end) {
        const uint64_t of_row = BytesAt(end, size);
        full =
            rows == limits.rows || (rows > 0 && limits.bytes > 0 && bytes + of_row > limits.bytes);
        if (full) break;
        ++rows;
        bytes += of_row;
      }
      if (end > at_) take(at_, end);
      at_ = end;
      if (full || rows == limits.rows) return true;
    }
  }

  // Takes up the next part, or leaves a file that has ended. False after the last file.
  Result<bool> ReadOn() {
    rows_held_ = {};
    numbers_.clear();
    at_ = 0;
    if (ended_) {
      open_.reset();
      ended_ = false;
      row_ = 0;
      ++file_;
    }
    if (file_ == files()) return false;
    if (open_ == nullptr) {
      HR_TRY(open_, files_.Open(file_));
    }
    HR_TRY(const auto part, files_.Next(*open_, file_));
    if (!part) {
      ended_ = true;
      return true;
    }
    const std::vector<uint32_t> kept = NewOf(*part);
    rows_held_ = kept.size() == part->rows() ? *part : part->Take(kept);
    for (const uint32_t row : kept) numbers_.push_back(static_cast<uint32_t>(row_ + row));
    row_ += part->rows();
    HR_TRY_VOID(part_charge_.Cover(part->ByteSize() + rows_held_.ByteSize()));
    return true;
  }

  // Which rows are new is known of those only that were read.
  Result<void> PassTo(const VersionPlace& place) {
    if (!removed_) file_ = std::min<uint64_t>(place.file, files());
    while (file_ < place.file || row_ < place.row) {
      HR_TRY(const bool more, ReadOn());
      at_ = numbers_.size();
      if (!more || file_ > place.file) break;
    }
    if (file_ != place.file || row_ < place.row) return TooFewRows();
    at_ = static_cast<size_t>(std::ranges::lower_bound(numbers_, place.row) - numbers_.begin());
    return {};
  }

  static std::unexpected<base::Error> TooFewRows() {
    return Fail(ErrorCode::kConflict,
                "the version has fewer rows than were taken of it: its files were changed");
  }

  // The rows that no file which was taken away had.
  std::vector<uint32_t> NewOf(const ColumnBatch& part) {
    std::vector<uint32_t> rows;
    rows.reserve(part.rows());
    for (uint32_t row = 0; row < part.rows(); ++row) {
      if (removed_) {
        auto& counts = removed_->counts;
        const auto found = counts.find(HashOf(part, row, removed_->compared, text_));
        if (found != counts.end()) {
          if (--found->second == 0) counts.erase(found);
          continue;
        }
      }
      rows.push_back(row);
    }
    return rows;
  }

  const FilesAsRows files_;
  const WantedRows wanted_;
  SteppedCharge list_charge_;
  std::optional<TakenRows> removed_;  // what is left of them
  SteppedCharge compared_charge_;
  SteppedCharge part_charge_;
  uint64_t hash_ = 0;
  uint64_t rows_ = 0;
  size_t file_ = 0;
  std::unique_ptr<delta::FileRows> open_;
  uint64_t row_ = 0;  // of the file, where its next part begins
  bool ended_ = false;
  ColumnBatch rows_held_;
  std::vector<uint32_t> numbers_;  // of rows_held_, ascending
  size_t at_ = 0;                  // the first of them that was not handed out
  std::string text_;
};

Result<TakenRows> CountRemoved(const VersionRows::Table& table, const WantedRows& wanted,
                               const delta::LogState& state, const delta::Commit& commit,
                               SteppedCharge& charge) {
  TakenAway taken(commit);
  HR_TRY(delta::LogState before,
         delta::ReplayLog(table.environment.files(), table.folder, state.version - 1, &taken,
                          delta::Compacted::kRead));
  HR_TRY(auto reader, delta::DeltaReader::Of(table.environment, table.folder, std::move(before),
                                             std::move(taken.files)));
  HR_TRY_VOID(CheckSourceColumns(reader->columns(), *wanted.schema));
  const FilesAsRows files(std::move(reader), wanted.schema);
  TakenRows removed;
  HR_TRY(removed.compared, ComparedColumns(wanted));
  uint64_t rows = 0;
  std::string text;
  for (size_t file = 0; file < files.files().size(); ++file) {
    HR_TRY(const auto open, files.Open(file));
    while (true) {
      HR_TRY(const auto part, files.Next(*open, file));
      if (!part) break;
      rows += part->rows();
      if (rows > VersionRows::kRemovedRowsMax)
        return Fail(ErrorCode::kUnsupported,
                    fmt::format("it took away files of more than {} rows, too many to tell which "
                                "rows are new",
                                VersionRows::kRemovedRowsMax));
      HR_TRY_VOID(charge.Cover(rows * kHashBytes));
      for (size_t row = 0; row < part->rows(); ++row)
        ++removed.counts[HashOf(*part, row, removed.compared, text)];
    }
  }
  return removed;
}

}  // namespace

Result<void> CheckSourceColumns(const delta::TableColumns& table, const columns::Schema& schema) {
  for (const columns::Field& field : schema.fields()) {
    const delta::TableColumn* column = table.Named(field.name);
    if (column == nullptr && field.nullable == columns::Nullable::kYes) continue;
    if (column == nullptr)
      return Fail(
          base::Error(ErrorCode::kInvalidInput,
                      fmt::format("the table has no column `{}` ({}), which the contract requires",
                                  field.name, columns::NameOf(field.type)))
              .With("column", field.name));
    if (Becomes(*column, field.type)) continue;
    return Fail(base::Error(ErrorCode::kInvalidInput,
                            fmt::format("column `{}` is {} in the table, and the contract wants "
                                        "{}: change one of them",
                                        field.name, column->type, columns::NameOf(field.type)))
                    .With("column", field.name));
  }
  return {};
}

Result<std::unique_ptr<VersionRows>> VersionRows::Whole(const Table& table,
                                                        const WantedRows& wanted, int64_t version) {
  env::Files& files = table.environment.files();
  HR_TRY(const delta::LogState head,
         delta::ReplayLog(files, table.folder, version, nullptr, delta::Compacted::kRead));
  HR_TRY_VOID(delta::CheckReadableByAll(*head.protocol));
  HR_TRY(const delta::TableColumns columns, delta::ReadTableColumns(*head.metadata));
  HR_TRY_VOID(CheckSourceColumns(columns, *wanted.schema));
  Listing listing(columns, wanted.schema->field(wanted.event_time_field).name, table.budget);
  HR_TRY(delta::LogState state,
         delta::ReplayLog(files, table.folder, version, &listing, delta::Compacted::kRead));
  HR_TRY(auto reader, delta::DeltaReader::Of(table.environment, table.folder, std::move(state),
                                             listing.InOrder()));
  return std::make_unique<Pieces>(FilesAsRows(std::move(reader), wanted.schema), wanted,
                                  table.budget, listing.TakeCharge(), std::nullopt,
                                  SteppedCharge(table.budget));
}

Result<std::unique_ptr<VersionRows>> VersionRows::Added(const Table& table,
                                                        const WantedRows& wanted,
                                                        const delta::LogState& state,
                                                        const delta::Commit& commit,
                                                        Removed removed) {
  std::vector<AddFile> added;
  SteppedCharge list(table.budget);
  uint64_t bytes = 0;
  std::map<std::string, size_t> numbers;  // of a file that is added twice the last action counts
  for (const AddFile& file : commit.adds) {
    if (!file.data_change) continue;
    HR_TRY_VOID(list.Cover(bytes += kFileBytes + 2 * file.path.size()));
    const size_t number =
        numbers.try_emplace(delta::KeyOf(file.path, file.deletion_vector), added.size())
            .first->second;
    if (number == added.size()) added.emplace_back();
    added[number] = file;
    added[number].stats = {};
  }
  HR_TRY(auto reader,
         delta::DeltaReader::Of(table.environment, table.folder, state, std::move(added)));
  HR_TRY_VOID(CheckSourceColumns(reader->columns(), *wanted.schema));
  std::optional<TakenRows> taken;
  SteppedCharge compared(table.budget);
  if (removed == Removed::kLeaveOut) {
    HR_TRY(taken, CountRemoved(table, wanted, state, commit, compared));
  }
  return std::make_unique<Pieces>(FilesAsRows(std::move(reader), wanted.schema), wanted,
                                  table.budget, std::move(list), std::move(taken),
                                  std::move(compared));
}

}  // namespace headrace::tables
