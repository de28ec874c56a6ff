#include "tables/parquet/parquet_reader.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/properties.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "columns/arrow/arrow_bridge.h"
#include "columns/conform.h"
#include "tables/parquet/arrow_file.h"
#include "tables/parquet/column_selection.h"
#include "tables/parquet/decoding_pool.h"
#include "tables/parquet/julian_times.h"

namespace headrace::tables {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

std::unexpected<base::Error> Broken(const std::string& path, const std::string& why) {
  return Fail(base::Error(ErrorCode::kCorruption, "Parquet: " + why).With("file", path));
}

// The columns of a file that are read.
struct Selected {
  std::vector<int> groups;
  std::vector<int> leaves;
  int64_t part_rows = ParquetReader::kPartRows;
};

// What Arrow throws is given back.
template <typename Call>
auto Caught(Call call) -> decltype(call()) {
  try {
    return call();
  } catch (const parquet::ParquetStatusException& e) {
    return e.status();
  } catch (const parquet::ParquetException& e) {
    return arrow::Status::Invalid(e.what());
  }
}

class Rows final : public ParquetRows {
 public:
  Rows(std::string path, parquet::arrow::FileReader& file, Selected selected, JulianTimes julian,
       ColumnSelection selection)
      : path_(std::move(path)),
        file_(file),
        selected_(std::move(selected)),
        rows_(static_cast<uint64_t>(file.parquet_reader()->metadata()->num_rows())),
        julian_(julian),
        selection_(std::move(selection)) {}

  // Begins at the file's first row.
  arrow::Status Begin() {
    file_.set_batch_size(selected_.part_rows);
    return Caught([&] {
      return file_.GetRecordBatchReader(selected_.groups, selected_.leaves).Value(&parts_);
    });
  }

  Result<std::optional<columns::ColumnBatch>> Next() override {
    std::shared_ptr<arrow::RecordBatch> part;
    if (const auto status = Read(part); !status.ok()) return Broken(path_, status.message());
    if (part == nullptr && read_ != rows_)
      return Broken(path_, fmt::format("{} rows, where the footer says {}", read_, rows_));
    if (part == nullptr) return std::nullopt;
    read_ += static_cast<uint64_t>(part->num_rows());
    if (selection_.leaves().empty())
      return selection_.AllNull(static_cast<size_t>(part->num_rows()));
    auto arranged = selection_.Arrange(part);
    if (!arranged) return Fail(std::move(arranged).error().With("file", path_));
    if (!julian_.any()) return std::move(*arranged);
    if (auto checked = CheckNotJulian(julian_, *arranged); !checked)
      return Fail(std::move(checked).error().With("file", path_));
    return std::move(*arranged);
  }

 private:
  // The next part, or null. One that is too large to be decoded is read in smaller ones: text that
  // repeats takes few bytes in the file, whatever its length.
  arrow::Status Read(std::shared_ptr<arrow::RecordBatch>& part) {
    while (true) {
      arrow::Status status = Caught([&] { return parts_->ReadNext(&part); });
      if (status.ok() && part != nullptr) {
        const uint64_t begin =
            std::exchange(passed_, passed_ + static_cast<uint64_t>(part->num_rows()));
        if (passed_ <= read_) continue;  // handed out before
        if (begin < read_) part = part->Slice(static_cast<int64_t>(read_ - begin));
        return status;
      }
      if (!status.IsOutOfMemory() || selected_.part_rows == ParquetReader::kPartRowsMin)
        return status;
      selected_.part_rows =
          std::max(selected_.part_rows / kSmallerPart, ParquetReader::kPartRowsMin);
      ARROW_RETURN_NOT_OK(Begin());
      passed_ = 0;
    }
  }

  static constexpr int64_t kSmallerPart = 16;

  const std::string path_;
  parquet::arrow::FileReader& file_;
  Selected selected_;
  const uint64_t rows_;  // as the footer says
  const JulianTimes julian_;
  const ColumnSelection selection_;
  std::unique_ptr<arrow::RecordBatchReader> parts_;
  uint64_t passed_ = 0;  // rows of parts_
  uint64_t read_ = 0;    // rows that were handed out
};

class Reader final : public ParquetReader {
 public:
  Reader(std::string path, std::unique_ptr<parquet::arrow::FileReader> reader,
         std::shared_ptr<arrow::Schema> schema)
      : path_(std::move(path)), reader_(std::move(reader)), schema_(std::move(schema)) {}

  uint64_t rows() const override {
    return static_cast<uint64_t>(reader_->parquet_reader()->metadata()->num_rows());
  }
  Result<columns::SchemaRef> schema() const override { return columns::FromArrowSchema(*schema_); }

  Result<std::unique_ptr<ParquetRows>> Begin(const columns::SchemaRef& wanted,
                                             std::span<const ColumnPlace> places) override {
    try {
      auto begun = BeginSelected(wanted, places);
      if (!begun) return Fail(std::move(begun).error().With("file", path_));
      return begun;
    } catch (const parquet::ParquetException& e) {
      return Broken(path_, e.what());
    }
  }

 private:
  Result<std::unique_ptr<ParquetRows>> BeginSelected(const columns::SchemaRef& wanted,
                                                     std::span<const ColumnPlace> places) {
    const auto file = reader_->parquet_reader()->metadata();
    HR_TRY(ColumnSelection selection, ColumnSelection::Make(*schema_, *file, wanted, places));
    std::vector<int> groups(static_cast<size_t>(reader_->num_row_groups()));
    std::iota(groups.begin(), groups.end(), 0);
    // Without any of the wanted columns another one tells how many rows there really are.
    std::vector<int> leaves = selection.leaves();
    if (leaves.empty() && file->num_columns() > 0) leaves = {0};
    const int64_t part_rows = PartRows(*file, leaves);
    auto begun = std::make_unique<Rows>(path_, *reader_,
                                        Selected{std::move(groups), std::move(leaves), part_rows},
                                        JulianTimesOf(*file), std::move(selection));
    if (const auto status = begun->Begin(); !status.ok()) return Broken(path_, status.message());
    return begun;
  }

  static int64_t PartRows(const parquet::FileMetaData& file, const std::vector<int>& leaves) {
    int64_t bytes = 0;
    for (int group = 0; group < file.num_row_groups(); ++group)
      for (const int leaf : leaves) {
        const int64_t of_leaf = file.RowGroup(group)->ColumnChunk(leaf)->total_uncompressed_size();
        // A forged size may say anything.
        if (of_leaf > 0 && __builtin_add_overflow(bytes, of_leaf, &bytes)) return kPartRowsMin;
      }
    const int64_t of_row = bytes / std::max<int64_t>(file.num_rows(), 1);
    return std::clamp(kPartBytes / std::max<int64_t>(of_row, 1), kPartRowsMin, kPartRows);
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
    if (const auto opened =
            builder.Open(OpenForArrow(std::move(file)), parquet::ReaderProperties(DecodingPool()));
        !opened.ok())
      return broken(opened.message());
    builder.memory_pool(DecodingPool());
    parquet::ArrowReaderProperties properties(/*use_threads=*/false);
    properties.set_batch_size(kPartRows);
    properties.set_pre_buffer(false);
    properties.set_coerce_int96_timestamp_unit(arrow::TimeUnit::MICRO);
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

Result<void> ParquetReader::Scan(const columns::SchemaRef& wanted,
                                 std::span<const ColumnPlace> places, const Visit& visit) {
  HR_TRY(const auto rows, Begin(wanted, places));
  while (true) {
    HR_TRY(const auto part, rows->Next());
    if (!part) return {};
    HR_TRY_VOID(visit(*part));
  }
}

Result<void> ParquetReader::Scan(const columns::SchemaRef& wanted, const Visit& visit) {
  std::vector<ColumnPlace> places;
  for (const columns::Field& field : wanted->fields()) places.push_back({field.name, {}, {}});
  return Scan(wanted, places, visit);
}

Result<columns::ColumnBatch> ParquetReader::ReadAll(const columns::SchemaRef& wanted) {
  std::vector<columns::ColumnBatch> parts;
  HR_TRY_VOID(Scan(wanted, [&](const columns::ColumnBatch& part) -> Result<void> {
    parts.push_back(part);
    return {};
  }));
  if (parts.empty()) {
    std::vector<columns::Column> none;
    for (const columns::Field& field : wanted->fields())
      none.push_back(columns::AllNullColumn(field.type, 0));
    return columns::ColumnBatch(wanted, 0, std::move(none));
  }
  return columns::ColumnBatch::Concat(parts);
}

}  // namespace headrace::tables
