#pragma once
// A Parquet file as a sequence of record batches, a row group in memory at a time.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace headrace::app {

struct ParquetRange {
  uint64_t batch_rows = 4096;
  uint64_t skip = 0;              // rows at the file's begin
  std::optional<uint64_t> limit;  // rows after those
};

// Batches are cut at the same rows each time a file is read with the same range, so that (producer,
// sequence) names the same rows again. One thread.
class ParquetBatches {
 public:
  // Errors: kNotFound, kInvalidInput (no Parquet), kIoError.
  static base::Result<std::unique_ptr<ParquetBatches>> Open(const std::string& path,
                                                            ParquetRange range);
  ~ParquetBatches();

  std::shared_ptr<arrow::Schema> schema() const;
  // Rows that there are within the range.
  uint64_t rows() const;
  // Null at the end. A batch never spans row groups.
  base::Result<std::shared_ptr<arrow::RecordBatch>> Next();

 private:
  struct Impl;
  explicit ParquetBatches(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::app
