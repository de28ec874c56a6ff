#include "tables/parquet/parquet_writer.h"

#include <arrow/io/memory.h>
#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <parquet/arrow/writer.h>
#include <parquet/exception.h>
#include <parquet/properties.h>

#include <cmath>
#include <utility>

#include "columns/arrow/arrow_bridge.h"
#include "tables/parquet/parquet_stats.h"

namespace headrace::tables {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::Type;

// Fixed, so that the bytes of a file do not change with a release that encodes alike.
constexpr const char* kCreatedBy = "headrace parquet 1";
constexpr int kZstdLevel = 1;
constexpr int64_t kSinkBytes = 4096;  // to begin with

Result<void> Checked(const arrow::Status& status) {
  if (status.ok()) return {};
  return Fail(ErrorCode::kInternal, "Parquet: " + status.message());
}

std::shared_ptr<parquet::WriterProperties> Settings(const columns::Schema& schema,
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
  for (const columns::Field& field : schema.fields()) {
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

// A file's bytes outlive its writer, and so must what they were allocated from.
struct PooledBuffer {
  std::shared_ptr<arrow::MemoryPool> pool;
  std::shared_ptr<arrow::Buffer> bytes;
};

class Writer final : public ParquetWriter {
 public:
  explicit Writer(columns::SchemaRef schema)
      : schema_(std::move(schema)), finite_(schema_->size(), true) {}

  Result<void> Open() {
    auto sink = arrow::io::BufferOutputStream::Create(kSinkBytes, pool_.get());
    HR_TRY_VOID(Checked(sink.status()));
    sink_ = std::move(sink).ValueUnsafe();
    auto writer = parquet::arrow::FileWriter::Open(*columns::ToArrowSchema(*schema_), pool_.get(),
                                                   sink_, Settings(*schema_, pool_.get()));
    HR_TRY_VOID(Checked(writer.status()));
    writer_ = std::move(writer).ValueUnsafe();
    return {};
  }

  Result<void> Write(const columns::ColumnBatch& rows) override {
    if (rows.rows() == 0) return {};
    NoteFinite(rows);
    rows_ += rows.rows();
    gathered_rows_ += rows.rows();
    gathered_bytes_ += rows.ByteSize();
    gathered_.push_back(rows);
    return gathered_rows_ >= kGatheredRows ? Encode() : Result<void>();
  }

  uint64_t rows() const override { return rows_; }
  uint64_t bytes() const override { return encoded_bytes_ + gathered_bytes_; }
  uint64_t held_bytes() const override {
    return 2 * gathered_bytes_ + static_cast<uint64_t>(pool_->bytes_allocated());
  }

  Result<EncodedFile> Finish() override {
    HR_TRY_VOID(Encode());
    try {
      HR_TRY_VOID(Checked(writer_->Close()));
      auto bytes = sink_->Finish();
      HR_TRY_VOID(Checked(bytes.status()));
      const auto owner = std::make_shared<const PooledBuffer>(PooledBuffer{pool_, *bytes});
      const arrow::Buffer& text = *owner->bytes;
      EncodedFile file{
          .bytes = columns::Buffer(owner, text.data(), static_cast<size_t>(text.size())),
          .rows = rows_,
          .stats = StatsOfFile(*writer_->metadata(), *schema_)};
      for (size_t i = 0; i < finite_.size(); ++i)
        if (!finite_[i]) file.stats[i].bounded = false;
      return file;
    } catch (const parquet::ParquetException& e) {
      return Fail(ErrorCode::kInternal, std::string("Parquet: ") + e.what());
    }
  }

 private:
  Result<void> Encode() {
    if (gathered_rows_ == 0) return {};
    const auto rows = columns::ColumnBatch::Concat(gathered_);
    HR_TRY(const auto batch, columns::ToArrow(rows));
    try {
      HR_TRY_VOID(Checked(writer_->WriteRecordBatch(*batch)));
    } catch (const parquet::ParquetException& e) {
      return Fail(ErrorCode::kInternal, std::string("Parquet: ") + e.what());
    }
    encoded_bytes_ += gathered_bytes_;
    gathered_.clear();
    gathered_rows_ = gathered_bytes_ = 0;
    return {};
  }

  // Parquet's statistics pass over NaN; a reader that prunes by them must not.
  void NoteFinite(const columns::ColumnBatch& rows) {
    for (size_t i = 0; i < finite_.size(); ++i) {
      const columns::Column& column = rows.column(i);
      if (column.type() == Type::kFloat64 && !AllFinite(column.Float64s())) finite_[i] = false;
      if (column.type() == Type::kFloat32 && !AllFinite(column.Float32s())) finite_[i] = false;
    }
  }

  // Its own, so that it can be asked how much this file takes.
  std::shared_ptr<arrow::ProxyMemoryPool> pool_ =
      std::make_shared<arrow::ProxyMemoryPool>(arrow::default_memory_pool());
  columns::SchemaRef schema_;
  std::vector<bool> finite_;
  std::shared_ptr<arrow::io::BufferOutputStream> sink_;
  std::unique_ptr<parquet::arrow::FileWriter> writer_;
  std::vector<columns::ColumnBatch> gathered_;
  uint64_t gathered_rows_ = 0, gathered_bytes_ = 0, rows_ = 0, encoded_bytes_ = 0;
};

}  // namespace

Result<std::unique_ptr<ParquetWriter>> ParquetWriter::Make(columns::SchemaRef schema) {
  auto writer = std::make_unique<Writer>(std::move(schema));
  HR_TRY_VOID(writer->Open());
  return writer;
}

}  // namespace headrace::tables
