#include "parquet_batches.h"

#include <arrow/io/file.h>
#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <parquet/arrow/reader.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>

#include <algorithm>

namespace headrace::app {

using base::Error;
using base::ErrorCode;
using base::Fail;

struct ParquetBatches::Impl {
  std::string path;
  ParquetRange range;
  std::unique_ptr<parquet::arrow::FileReader> reader;
  std::shared_ptr<arrow::Schema> schema;
  uint64_t rows = 0;
  int next_group = 0;
  uint64_t skip_left = 0;
  uint64_t rows_left = 0;
  std::shared_ptr<arrow::RecordBatch> group;  // what is left of the current one
  uint64_t group_at = 0;

  std::unexpected<Error> Broken(const arrow::Status& status) const {
    const ErrorCode code = status.IsIOError() ? ErrorCode::kIoError : ErrorCode::kInvalidInput;
    return Fail(Error(code, "can't read the Parquet file: " + status.message()).With("file", path));
  }
  base::Result<void> OpenReader();
  base::Result<void> NextGroup();
  uint64_t GroupRows(int group_index) const {
    return static_cast<uint64_t>(
        reader->parquet_reader()->metadata()->RowGroup(group_index)->num_rows());
  }
};

base::Result<void> ParquetBatches::Impl::OpenReader() {
  auto file = arrow::io::ReadableFile::Open(path);
  if (!file.ok())
    return Fail(Error(ErrorCode::kNotFound, "can't open the file: " + file.status().message())
                    .With("file", path));
  auto opened = parquet::arrow::OpenFile(*file, arrow::default_memory_pool());
  if (!opened.ok()) return Broken(opened.status());
  reader = std::move(*opened);
  if (const arrow::Status status = reader->GetSchema(&schema); !status.ok()) return Broken(status);
  const auto in_file = static_cast<uint64_t>(reader->parquet_reader()->metadata()->num_rows());
  skip_left = std::min(range.skip, in_file);
  rows_left = std::min(range.limit.value_or(in_file), in_file - skip_left);
  rows = rows_left;
  return {};
}

// Reads the next row group as one batch; whole groups that are skipped are not read.
base::Result<void> ParquetBatches::Impl::NextGroup() {
  while (skip_left > 0 && GroupRows(next_group) <= skip_left) skip_left -= GroupRows(next_group++);
  std::shared_ptr<arrow::Table> table;
  if (const arrow::Status status = reader->ReadRowGroup(next_group++, &table); !status.ok())
    return Broken(status);
  auto batch = table->CombineChunksToBatch();
  if (!batch.ok()) return Broken(batch.status());
  group = std::move(*batch);
  group_at = skip_left;
  skip_left = 0;
  return {};
}

base::Result<std::unique_ptr<ParquetBatches>> ParquetBatches::Open(const std::string& path,
                                                                   ParquetRange range) {
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  impl->range = range;
  HR_TRY_VOID(impl->OpenReader());
  return std::unique_ptr<ParquetBatches>(new ParquetBatches(std::move(impl)));
}

base::Result<std::shared_ptr<arrow::RecordBatch>> ParquetBatches::Next() {
  if (impl_->rows_left == 0) return nullptr;
  while (impl_->group == nullptr ||
         impl_->group_at == static_cast<uint64_t>(impl_->group->num_rows()))
    HR_TRY_VOID(impl_->NextGroup());
  const uint64_t in_group = static_cast<uint64_t>(impl_->group->num_rows()) - impl_->group_at;
  const uint64_t rows = std::min({impl_->range.batch_rows, in_group, impl_->rows_left});
  auto batch =
      impl_->group->Slice(static_cast<int64_t>(impl_->group_at), static_cast<int64_t>(rows));
  impl_->group_at += rows;
  impl_->rows_left -= rows;
  return batch;
}

ParquetBatches::ParquetBatches(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ParquetBatches::~ParquetBatches() = default;
std::shared_ptr<arrow::Schema> ParquetBatches::schema() const { return impl_->schema; }
uint64_t ParquetBatches::rows() const { return impl_->rows; }

}  // namespace headrace::app
