#include "tables/delta/delta_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "columns/batch_builder.h"
#include "tables/delta/deletion_vector.h"
#include "tables/delta/log_replay.h"
#include "tables/delta/support.h"
#include "tables/delta/table_path.h"
#include "tables/parquet/parquet_reader.h"

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::ColumnBatch;

class IntoList final : public FileSink {
 public:
  explicit IntoList(std::vector<AddFile>& files) : files_(files) {}
  Result<void> Add(AddFile file) override {
    files_.push_back(std::move(file));
    return {};
  }
  Result<void> Remove(RemoveFile /*file*/) override { return {}; }
  void Restart() override { files_.clear(); }

 private:
  std::vector<AddFile>& files_;
};

// Leaves out rows that a deletion vector names, over the parts of a file.
class Undeleted {
 public:
  explicit Undeleted(DeletedRows deleted) : deleted_(std::move(deleted)), range_(deleted_.Next()) {}
  uint64_t deleted() const { return deleted_.count(); }

  ColumnBatch Of(const ColumnBatch& part) {
    const uint64_t begin = seen_;
    seen_ += part.rows();
    if (!range_ || range_->first >= seen_) return part;
    std::vector<uint32_t> kept;
    for (uint64_t row = begin; row < seen_; ++row) {
      if (range_ && range_->last < row) range_ = deleted_.Next();
      if (!range_ || row < range_->first) kept.push_back(static_cast<uint32_t>(row - begin));
    }
    return part.Take(kept);
  }

 private:
  DeletedRows deleted_;
  std::optional<DeletedRows::Range> range_;  // the next, or the one that `seen_` is in
  uint64_t seen_ = 0;
};

columns::Column Repeated(const columns::Value& value, columns::Type type, size_t rows) {
  columns::ColumnBuilder builder(type);
  for (size_t row = 0; row < rows; ++row) builder.AppendValue(value);
  return builder.Finish();
}

// A column of a partition, or nothing: it is in the file.
using Constant = std::optional<columns::Value>;

class RowsOfFile final : public FileRows {
 public:
  RowsOfFile(std::unique_ptr<ParquetReader> reader, std::unique_ptr<ParquetRows> parts,
             DeletedRows deleted, columns::SchemaRef schema, std::vector<Constant> constants)
      : reader_(std::move(reader)),
        parts_(std::move(parts)),
        undeleted_(std::move(deleted)),
        schema_(std::move(schema)),
        constants_(std::move(constants)) {
    uint64_t texts = 0;
    for (const Constant& constant : constants_)
      if (constant && !constant->is_null() && columns::IsVariable(constant->type()))
        texts += constant->as_text().size();
    rows_max_ = std::max<uint64_t>(FileRows::kConstantBytesMax / std::max<uint64_t>(texts, 1), 1);
  }

  Result<std::optional<ColumnBatch>> Next() override {
    if (at_ == part_.rows()) {
      HR_TRY(const auto part, parts_->Next());
      if (!part) return std::nullopt;
      part_ = undeleted_.Of(*part);
      at_ = 0;
    }
    const size_t end = std::min<uint64_t>(part_.rows(), at_ + rows_max_);
    const ColumnBatch rows = part_.Slice(at_, end);
    at_ = end;
    std::vector<columns::Column> columns;
    size_t stored = 0;
    for (size_t i = 0; i < constants_.size(); ++i)
      columns.push_back(constants_[i]
                            ? Repeated(*constants_[i], schema_->field(i).type, rows.rows())
                            : rows.column(stored++));
    return ColumnBatch(schema_, rows.rows(), std::move(columns));
  }
  uint64_t deleted() const override { return undeleted_.deleted(); }

 private:
  const std::unique_ptr<ParquetReader> reader_;
  const std::unique_ptr<ParquetRows> parts_;
  Undeleted undeleted_;
  const columns::SchemaRef schema_;
  const std::vector<Constant> constants_;  // one a column of the schema
  uint64_t rows_max_ = 0;                  // handed out at once, as constants are long
  ColumnBatch part_;
  size_t at_ = 0;  // the first of its rows that was not handed out
};

}  // namespace

// What a scan asks for.
struct DeltaReader::Wanted {
  columns::SchemaRef all;      // in the order asked for
  columns::SchemaRef in_file;  // of those, what files have
  std::vector<ColumnPlace> places;
  std::vector<const TableColumn*> columns;  // of `all`
};

DeltaReader::DeltaReader(env::Environment& environment, std::string folder)
    : environment_(environment), folder_(std::move(folder)) {}

Result<std::unique_ptr<DeltaReader>> DeltaReader::Open(env::Environment& environment,
                                                       const std::string& folder,
                                                       const ReadAt& at) {
  std::unique_ptr<DeltaReader> reader(new DeltaReader(environment, folder));
  std::optional<int64_t> version = at.version;
  if (at.time || at.epoch) {
    HR_TRY(const LogState newest,
           ReplayLog(environment.files(), folder, std::nullopt, nullptr, Compacted::kRead));
    HR_TRY(version, FindVersion(environment.files(), folder, newest, at));
  }
  // Whether the files may be read is known before they are.
  HR_TRY(const LogState head,
         ReplayLog(environment.files(), folder, version, nullptr, Compacted::kRead));
  HR_TRY_VOID(CheckReadableByAll(*head.protocol));
  IntoList sink(reader->files_);
  HR_TRY(reader->state_,
         ReplayLog(environment.files(), folder, head.version, &sink, Compacted::kRead));
  HR_TRY(reader->columns_, ReadTableColumns(*reader->state_.metadata));
  return reader;
}

Result<std::unique_ptr<DeltaReader>> DeltaReader::Of(env::Environment& environment,
                                                     const std::string& folder, LogState state,
                                                     std::vector<AddFile> files) {
  HR_TRY_VOID(CheckReadableByAll(*state.protocol));
  std::unique_ptr<DeltaReader> reader(new DeltaReader(environment, folder));
  HR_TRY(reader->columns_, ReadTableColumns(*state.metadata));
  reader->state_ = std::move(state);
  reader->files_ = std::move(files);
  return reader;
}

std::vector<std::string> DeltaReader::readable() const {
  std::vector<std::string> names;
  for (const TableColumn& column : columns_.columns)
    if (column.held) names.push_back(column.name);
  return names;
}

Result<DeltaReader::Wanted> DeltaReader::Choose(std::span<const std::string> names) const {
  Wanted wanted;
  std::vector<columns::Field> all;
  std::vector<columns::Field> in_file;
  for (const std::string& name : names) {
    const TableColumn* column = columns_.Named(name);
    if (column == nullptr)
      return Fail(ErrorCode::kInvalidInput, fmt::format("no column `{}` in the table", name));
    if (!column->held)
      return Fail(base::Error(ErrorCode::kUnsupported,
                              fmt::format("column `{}` has type {}, which this version does not "
                                          "read",
                                          name, column->type))
                      .With("column", name));
    all.push_back(
        {.id = static_cast<uint32_t>(all.size() + 1),
         .name = name,
         .type = *column->held,
         .nullable = column->nullable ? columns::Nullable::kYes : columns::Nullable::kNo});
    wanted.columns.push_back(column);
    if (column->partition) continue;
    in_file.push_back(all.back());
    ColumnPlace place{
        .name = column->physical_name, .field_id = {}, .widening = ColumnPlace::Widening::kYes};
    const bool by_id = columns_.mapping == ColumnMapping::kId;
    if (by_id) place.field_id = column->field_id;
    for (const TableColumn::Step& step : column->below)
      place.below.push_back({step.physical_name, by_id ? step.field_id : std::nullopt});
    if (column->decimal) place.decimal_scale = column->decimal->scale;
    wanted.places.push_back(std::move(place));
  }
  wanted.all = std::make_shared<const columns::Schema>(std::move(all));
  wanted.in_file = std::make_shared<const columns::Schema>(std::move(in_file));
  return wanted;
}

Result<std::unique_ptr<FileRows>> DeltaReader::Open(const AddFile& file,
                                                    const Wanted& wanted) const {
  env::Files& files = environment_.files();
  HR_TRY(const std::string path, PathInTable(files, folder_, file.path));
  HR_TRY(const env::FileFacts facts, files.Facts(path));
  if (facts.bytes != file.size)
    return Fail(ErrorCode::kCorruption,
                fmt::format("the file has {} bytes, the log says {}", facts.bytes, file.size));
  HR_TRY(auto reader, ParquetReader::Open(files, path, file.checksum));
  if (file.rows != 0 && reader->rows() != file.rows)
    return Fail(ErrorCode::kCorruption,
                fmt::format("the file says {} rows, the log says {}", reader->rows(), file.rows));
  DeletedRows deleted;
  if (file.deletion_vector) {
    HR_TRY(deleted, ReadDeletionVector(files, folder_, *file.deletion_vector, reader->rows()));
  }
  std::vector<Constant> constants;
  for (const TableColumn* column : wanted.columns) {
    Constant& constant = constants.emplace_back();
    if (!column->partition) continue;
    HR_TRY(constant, PartitionValue(*column, file));
  }
  HR_TRY(auto parts, reader->Begin(wanted.in_file, wanted.places));
  return std::make_unique<RowsOfFile>(std::move(reader), std::move(parts), std::move(deleted),
                                      wanted.all, std::move(constants));
}

Result<std::vector<size_t>> DeltaReader::Candidates(std::span<const Condition> conditions) const {
  HR_TRY_VOID(CheckConditions(columns_, conditions));
  std::vector<size_t> numbers;
  for (size_t i = 0; i < files_.size(); ++i)
    if (MayFit(columns_, conditions, files_[i])) numbers.push_back(i);
  return numbers;
}

Result<std::unique_ptr<FileRows>> DeltaReader::OpenFile(size_t number,
                                                        std::span<const std::string> names) const {
  HR_TRY(const Wanted wanted, Choose(names));
  return Open(files_[number], wanted);
}

Result<DeltaReader::Scanned> DeltaReader::Scan(std::span<const std::string> names,
                                               std::span<const Condition> conditions,
                                               const Visit& visit) const {
  HR_TRY_VOID(Choose(names));
  HR_TRY(const std::vector<size_t> numbers, Candidates(conditions));
  Scanned scanned{.files = numbers.size(), .pruned = files_.size() - numbers.size()};
  const auto scan_file = [&](size_t number) -> Result<void> {
    HR_TRY(const auto rows, OpenFile(number, names));
    scanned.deleted += rows->deleted();
    while (true) {
      HR_TRY(const auto part, rows->Next());
      if (!part) return {};
      scanned.rows += part->rows();
      HR_TRY_VOID(visit(*part));
    }
  };
  for (const size_t number : numbers)
    if (auto read = scan_file(number); !read)
      return Fail(std::move(read).error().With("data_file", files_[number].path));
  return scanned;
}

}  // namespace headrace::tables::delta
