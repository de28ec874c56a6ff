#include "tables/parquet/parquet_writer.h"

#include <arrow/io/interfaces.h>
#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/compression.h>
#include <parquet/arrow/writer.h>
#include <parquet/exception.h>
#include <parquet/properties.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "columns/arrow/arrow_bridge.h"
#include "tables/parquet/arrow_file.h"
#include "tables/parquet/parquet_stats.h"

namespace headrace::tables {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::Type;

// Fixed, so that the bytes of a file do not change with a release that encodes alike.
constexpr const char* kCreatedBy = "headrace parquet 2";
constexpr int kZstdLevel = 1;

// A column that has fewer bytes in its file is not compressed: what it would save is worth less
// than a reader's and a writer's way into zstd (ADR 12).
constexpr size_t kCompressedFrom = 1024;

// By the values alone, so that the same rows make the same file.
bool IsSmall(const columns::Column& column) {
  if (columns::IsList(column.type())) return false;
  if (!columns::IsVariable(column.type()))
    return column.length() * std::max<size_t>(1, columns::RowOf(column.type()).width) <
           kCompressedFrom;
  size_t bytes = 0;
  for (size_t row = 0; row < column.length() && bytes < kCompressedFrom; ++row)
    if (!column.IsNull(row)) bytes += column.Text(row).size();
  return bytes < kCompressedFrom;
}

// `all`: the rows of a file that is small; null of one that is not, or has none.
std::shared_ptr<parquet::WriterProperties> Settings(const columns::Schema& schema,
                                                    const columns::ColumnBatch* all,
                                                    arrow::MemoryPool* pool) {
  parquet::WriterProperties::Builder builder;
  builder.created_by(kCreatedBy)
      ->memory_pool(pool)
      ->version(parquet::ParquetVersion::PARQUET_2_6)
      ->data_page_version(parquet::ParquetDataPageVersion::V1)
      ->compression(parquet::Compression::ZSTD)
      ->compression_level(kZstdLevel)
      ->max_row_group_length(ParquetWriter::kRowGroupRows)
      ->disable_dictionary();
  for (size_t i = 0; i < schema.size(); ++i) {
    const columns::Field& field = schema.field(i);
    if (all != nullptr && IsSmall(all->column(i))) {
      builder.compression(field.name, parquet::Compression::UNCOMPRESSED)
          ->compression_level(field.name, arrow::util::kUseDefaultCompressionLevel);
    }
    if (columns::IsVariable(field.type)) {
      builder.enable_dictionary(field.name);
    } else if (field.type != Type::kBool && !columns::IsList(field.type) &&
               !columns::IsFloating(field.type)) {
      builder.encoding(field.name, parquet::Encoding::DELTA_BINARY_PACKED);
    }
  }
  return builder.build();
}

template <typename T>
bool AllFinite(std::span<const T> values) {
  for (const T value : values)
    if (!std::isfinite(value)) return false;
  return true;
}

// How far from `begin` rows of `batch` have about `bytes`: one row at least.
size_t EndOfRows(const columns::ColumnBatch& batch, size_t begin, size_t bytes) {
  const auto bytes_to = [&](size_t row) {
    size_t total = 0;
    for (const columns::Column& column : batch.columns()) {
      const auto offsets = column.offsets().as<int32_t>();
      const auto size = static_cast<double>(column.ByteSize());
      const double share =
          offsets.empty() || offsets[column.length()] == 0
              ? static_cast<double>(row) / static_cast<double>(batch.rows())
              : static_cast<double>(offsets[row]) / static_cast<double>(offsets[column.length()]);
      total += static_cast<size_t>(size * share);
    }
    return total;
  };
  if (batch.ByteSize() <= bytes) return batch.rows();
  const size_t wanted = bytes_to(begin) + bytes;
  size_t end = begin + 1;
  for (size_t above = batch.rows(); end < above;) {
    const size_t middle = end + (above - end + 1) / 2;
    bytes_to(middle) <= wanted ? end = middle : above = middle - 1;
  }
  return end;
}

class Writer final : public ParquetWriter {
 public:
  Writer(columns::SchemaRef schema, Append append)
      : append_(std::move(append)), schema_(std::move(schema)), finite_(schema_->size(), true) {}

  Result<void> Write(const columns::ColumnBatch& rows) override {
    if (rows.rows() == 0) return {};
    NoteFinite(rows);
    rows_ += rows.rows();
    gathered_rows_ += rows.rows();
    gathered_bytes_ += rows.ByteSize();
    gathered_.push_back(rows);
    const bool enough = gathered_rows_ >= kGatheredRows || gathered_bytes_ >= kGatheredBytes;
    return enough ? Encode() : Result<void>();
  }

  uint64_t rows() const override { return rows_; }
  uint64_t bytes() const override { return encoded_bytes_ + gathered_bytes_; }
  uint64_t held_bytes() const override {
    return 2 * gathered_bytes_ + static_cast<uint64_t>(pool_->bytes_allocated()) +
           piece_.capacity() + kept_.capacity() + kEncodingBytes;
  }

  Result<EncodedFile> Finish() override {
    if (writer_ == nullptr) {
      if (gathered_.size() > 1) gathered_ = {columns::ColumnBatch::Concat(gathered_)};
      HR_TRY_VOID(Open(gathered_.empty() ? nullptr : gathered_.data()));
    }
    HR_TRY_VOID(Encode());
    try {
      HR_TRY_VOID(Checked(writer_->Close()));
      HR_TRY_VOID(HandOn());
      EncodedFile file{.bytes = columns::Buffer::Own(std::move(kept_)),
                       .rows = rows_,
                       .stats = StatsOfFile(*writer_->metadata(), *schema_)};
      for (size_t i = 0; i < finite_.size(); ++i)
        if (!finite_[i]) file.stats[i].bounded = false;
      return file;
    } catch (const parquet::ParquetException& e) {
      return Failed(e);
    }
  }

 private:
  // A dictionary, a page, its growth and its compressed form, of rows that are encoded at once.
  static constexpr uint64_t kEncodingBytes = 2 * kGatheredBytes;

  // `all` as for Settings.
  Result<void> Open(const columns::ColumnBatch* all) {
    sink_ = StreamForArrow([this](std::span<const uint8_t> bytes) { return Take(bytes); });
    auto writer = parquet::arrow::FileWriter::Open(*columns::ToArrowSchema(*schema_), pool_.get(),
                                                   sink_, Settings(*schema_, all, pool_.get()));
    HR_TRY_VOID(Checked(writer.status()));
    writer_ = std::move(writer).ValueUnsafe();
    return {};
  }

  Result<void> Encode() {
    if (gathered_rows_ == 0) return {};
    const auto rows = columns::ColumnBatch::Concat(gathered_);
    gathered_.clear();
    if (writer_ == nullptr) HR_TRY_VOID(Open(nullptr));
    HR_TRY(const auto batch, columns::ToArrow(rows));
    try {
      for (size_t begin = 0; begin < rows.rows();) {
        const size_t end = EndOfRows(rows, begin, kGatheredBytes);
        HR_TRY_VOID(EncodeRows(*batch, begin, end, rows.ByteSize() * (end - begin) / rows.rows()));
        begin = end;
      }
    } catch (const parquet::ParquetException& e) {
      return Failed(e);
    }
    encoded_bytes_ += gathered_bytes_;
    gathered_rows_ = gathered_bytes_ = 0;
    return {};
  }

  Result<void> EncodeRows(const arrow::RecordBatch& batch, size_t begin, size_t end,
                          uint64_t bytes) {
    if (group_bytes_ > 0 && group_bytes_ + bytes > kRowGroupBytes) {
      HR_TRY_VOID(Checked(writer_->NewBufferedRowGroup()));
      group_rows_ = group_bytes_ = 0;
    }
    const auto slice = batch.Slice(static_cast<int64_t>(begin), static_cast<int64_t>(end - begin));
    HR_TRY_VOID(Checked(writer_->WriteRecordBatch(*slice)));
    group_rows_ += end - begin;
    group_bytes_ += bytes;
    if (group_rows_ >= kRowGroupRows) {  // Arrow has begun the next one
      group_bytes_ = bytes * (group_rows_ % kRowGroupRows) / (end - begin);
      group_rows_ %= kRowGroupRows;
    }
    return {};
  }

  Result<void> Take(std::span<const uint8_t> bytes) {
    if (append_ == nullptr) {
      kept_.insert(kept_.end(), bytes.begin(), bytes.end());
      return {};
    }
    while (!bytes.empty()) {
      const size_t part = std::min(bytes.size(), kPieceBytes - piece_.size());
      piece_.insert(piece_.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(part));
      bytes = bytes.subspan(part);
      if (piece_.size() == kPieceBytes) HR_TRY_VOID(HandOn());
    }
    return {};
  }

  Result<void> HandOn() {
    if (piece_.empty()) return {};
    auto done = append_(piece_);
    piece_.clear();
    if (!done) append_error_ = done.error();
    return done;
  }

  Result<void> Checked(const arrow::Status& status) const {
    if (status.ok()) return {};
    if (append_error_) return Fail(*append_error_);
    return Fail(ErrorCode::kInternal, "Parquet: " + status.message());
  }
  std::unexpected<base::Error> Failed(const parquet::ParquetException& e) const {
    if (append_error_) return Fail(*append_error_);
    return Fail(ErrorCode::kInternal, std::string("Parquet: ") + e.what());
  }

  // Parquet's statistics pass over NaN; a reader that prunes by them must not.
  void NoteFinite(const columns::ColumnBatch& rows) {
    for (size_t i = 0; i < finite_.size(); ++i) {
      const columns::Column& column = rows.column(i);
      if (column.type() == Type::kFloat64 && !AllFinite(column.Float64s())) finite_[i] = false;
      if (column.type() == Type::kFloat32 && !AllFinite(column.Float32s())) finite_[i] = false;
    }
  }

  const Append append_;  // none: the bytes are kept
  std::vector<uint8_t> kept_;
  std::vector<uint8_t> piece_;
  std::optional<base::Error> append_error_;
  // Its own, so that it can be asked how much this file takes.
  std::shared_ptr<arrow::ProxyMemoryPool> pool_ =
      std::make_shared<arrow::ProxyMemoryPool>(arrow::default_memory_pool());
  columns::SchemaRef schema_;
  std::vector<bool> finite_;
  std::shared_ptr<arrow::io::OutputStream> sink_;
  std::unique_ptr<parquet::arrow::FileWriter> writer_;
  std::vector<columns::ColumnBatch> gathered_;
  uint64_t gathered_rows_ = 0, gathered_bytes_ = 0, rows_ = 0, encoded_bytes_ = 0;
  uint64_t group_rows_ = 0, group_bytes_ = 0;
};

}  // namespace

std::unique_ptr<ParquetWriter> ParquetWriter::Make(columns::SchemaRef schema) {
  return Make(std::move(schema), nullptr);
}

std::unique_ptr<ParquetWriter> ParquetWriter::Make(columns::SchemaRef schema, Append append) {
  return std::make_unique<Writer>(std::move(schema), std::move(append));
}

}  // namespace headrace::tables
