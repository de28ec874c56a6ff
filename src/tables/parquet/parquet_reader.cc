#include "tables/parquet/parquet_reader.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/properties.h>

#include <numeric>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "columns/arrow/arrow_bridge.h"
#include "columns/batch_builder.h"
#include "tables/parquet/arrow_file.h"

namespace headrace::tables {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

columns::Column AllNull(columns::Type type, size_t rows) {
  if (columns::IsList(type)) {
    columns::ColumnBuilder builder(type);
    for (size_t row = 0; row < rows; ++row) builder.AppendNull();
    return builder.Finish();
  }
  const size_t width = type == columns::Type::kBool ? 1 : columns::RowOf(type).width;
  columns::Buffer validity = columns::Buffer::Own(std::vector<uint8_t>((rows + 7) / 8, 0));
  if (columns::IsVariable(type)) {
    return {type,
            rows,
            {},
            std::move(validity),
            columns::Buffer::OwnValues(std::vector<int32_t>(rows + 1, 0))};
  }
  const size_t bytes = type == columns::Type::kBool ? (rows + 7) / 8 : rows * width;
  return {type, rows, columns::Buffer::Own(std::vector<uint8_t>(bytes, 0)), std::move(validity)};
}

// Which of the wanted columns a file has.
struct Selection {
  std::vector<int> file_columns;  // to read
  columns::SchemaRef present;     // their fields
  std::vector<std::optional<size_t>>
      at;  // per wanted field: index into `present`; none: null throughout
};

Result<Selection> Select(const arrow::Schema& file, const columns::Schema& wanted) {
  Selection selection;
  std::vector<columns::Field> present;
  for (const columns::Field& field : wanted.fields()) {
    const int index = file.GetFieldIndex(field.name);
    if (index < 0 && field.nullable == columns::Nullable::kNo) {
      return Fail(
          base::Error(ErrorCode::kInvalidInput,
                      fmt::format("no column `{}` ({})", field.name, columns::NameOf(field.type)))
              .With("column", field.name));
    }
    if (index < 0) {
      selection.at.emplace_back();
      continue;
    }
    selection.file_columns.push_back(index);
    selection.at.emplace_back(present.size());
    present.push_back(field);
  }
  selection.present = std::make_shared<const columns::Schema>(std::move(present));
  return selection;
}

class Reader final : public ParquetReader {
 public:
  Reader(std::string path, std::unique_ptr<parquet::arrow::FileReader> reader,
         std::shared_ptr<arrow::Schema> schema)
      : path_(std::move(path)), reader_(std::move(reader)), schema_(std::move(schema)) {}

  uint64_t rows() const override {
    return static_cast<uint64_t>(reader_->parquet_reader()->metadata()->num_rows());
  }
  Result<columns::SchemaRef> schema() const override { return columns::FromArrowSchema(*schema_); }

  Result<void> Scan(const columns::SchemaRef& wanted, const Visit& visit) override {
    auto selection = Select(*schema_, *wanted);
    if (!selection) return Fail(std::move(selection).error().With("file", path_));
    try {
      auto scanned = ScanSelected(*selection, wanted, visit);
      if (!scanned) return Fail(std::move(scanned).error().With("file", path_));
      return {};
    } catch (const parquet::ParquetException& e) {
      return Broken(e.what());
    }
  }

 private:
  Result<void> ScanSelected(const Selection& selection, const columns::SchemaRef& wanted,
                            const Visit& visit) {
    if (selection.file_columns.empty()) return visit(Arrange(selection, wanted, {}, rows()));
    std::vector<int> groups(static_cast<size_t>(reader_->num_row_groups()));
    std::iota(groups.begin(), groups.end(), 0);
    auto parts = reader_->GetRecordBatchReader(groups, selection.file_columns);
    if (!parts.ok()) return Broken(parts.status().message());
    for (;;) {
      std::shared_ptr<arrow::RecordBatch> part;
      if (const auto status = (*parts)->ReadNext(&part); !status.ok())
        return Broken(status.message());
      if (part == nullptr) return {};
      HR_TRY(const columns::ColumnBatch rows, columns::FromArrow(*part, selection.present));
      HR_TRY_VOID(visit(Arrange(selection, wanted, rows.columns(), rows.rows())));
    }
  }

  static columns::ColumnBatch Arrange(const Selection& selection, const columns::SchemaRef& wanted,
                                      const std::vector<columns::Column>& present, size_t rows) {
    std::vector<columns::Column> columns;
    for (size_t i = 0; i < wanted->size(); ++i) {
      columns.push_back(selection.at[i] ? present[*selection.at[i]]
                                        : AllNull(wanted->field(i).type, rows));
    }
    return {wanted, rows, std::move(columns)};
  }

  std::unexpected<base::Error> Broken(const std::string& why) const {
    return Fail(base::Error(ErrorCode::kCorruption, "Parquet: " + why).With("file", path_));
  }

  std::string path_;
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::shared_ptr<arrow::Schema> schema_;
};

}  // namespace

namespace {

// A file that was read and checked.
class CheckedFile final : public env::ReadableFile {
 public:
  CheckedFile(std::string path, std::vector<uint8_t> bytes)
      : path_(std::move(path)), bytes_(std::move(bytes)) {}
  uint64_t size() const override { return bytes_.size(); }
  Result<void> ReadAt(uint64_t offset, std::span<uint8_t> out) const override {
    if (offset > bytes_.size() || out.size() > bytes_.size() - offset)
      return Fail(
          base::Error(ErrorCode::kCorruption, "the file ends too early").With("file", path_));
    std::copy_n(bytes_.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
    return {};
  }

 private:
  std::string path_;
  std::vector<uint8_t> bytes_;
};

Result<std::unique_ptr<env::ReadableFile>> OpenChecked(env::Files& files, const std::string& path,
                                                       std::optional<uint64_t> checksum) {
  if (!checksum) return files.OpenForReading(path);
  HR_TRY(std::vector<uint8_t> bytes, files.ReadAll(path));
  if (base::Hash64(bytes) == *checksum)
    return std::make_unique<CheckedFile>(path, std::move(bytes));
  return Fail(base::Error(ErrorCode::kCorruption,
                          "this data file is not as it was written: restore it from a copy")
                  .With("file", path)
                  .With("offset", "0")
                  .With("bytes", std::to_string(bytes.size())));
}

}  // namespace

Result<std::unique_ptr<ParquetReader>> ParquetReader::Open(env::Files& files,
                                                           const std::string& path,
                                                           std::optional<uint64_t> checksum) {
  HR_TRY(auto file, OpenChecked(files, path, checksum));
  const auto broken = [&](const std::string& why) {
    return Fail(
        base::Error(ErrorCode::kCorruption, "no readable Parquet file: " + why).With("file", path));
  };
  try {
    parquet::arrow::FileReaderBuilder builder;
    if (const auto opened = builder.Open(OpenForArrow(std::move(file))); !opened.ok())
      return broken(opened.message());
    parquet::ArrowReaderProperties properties(/*use_threads=*/false);
    properties.set_batch_size(kPartRows);
    properties.set_pre_buffer(false);
    std::unique_ptr<parquet::arrow::FileReader> reader;
    if (const auto built = builder.properties(properties)->Build(&reader); !built.ok())
      return broken(built.message());
    std::shared_ptr<arrow::Schema> schema;
    if (const auto got = reader->GetSchema(&schema); !got.ok()) return broken(got.message());
    return std::make_unique<Reader>(path, std::move(reader), std::move(schema));
  } catch (const parquet::ParquetException& e) {
    return broken(e.what());
  }
}

Result<columns::ColumnBatch> ParquetReader::ReadAll(const columns::SchemaRef& wanted) {
  std::vector<columns::ColumnBatch> parts;
  HR_TRY_VOID(Scan(wanted, [&](const columns::ColumnBatch& part) -> Result<void> {
    parts.push_back(part);
    return {};
  }));
  if (parts.empty()) {
    std::vector<columns::Column> none;
    for (const columns::Field& field : wanted->fields()) none.push_back(AllNull(field.type, 0));
    return columns::ColumnBatch(wanted, 0, std::move(none));
  }
  return columns::ColumnBatch::Concat(parts);
}

}  // namespace headrace::tables
