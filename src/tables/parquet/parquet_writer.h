#pragma once
// Column batches as the bytes of one Parquet file, in memory: the data files of every table format.
// The same rows, cut into the same batches, give the same bytes from the same build.

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "columns/batch.h"

namespace headrace::tables {

// What a table's metadata tells readers of one column of a file, so that they may skip it.
struct ColumnStats {
  bool bounded = false;  // false: no values, or no bounds worth telling (bool, bytes, not finite)
  columns::Value min;
  columns::Value max;
  uint64_t nulls = 0;
};

// A finished file.
struct EncodedFile {
  columns::Buffer bytes;
  uint64_t rows = 0;
  std::vector<ColumnStats> stats;  // one a field of the schema
};

// Encodes on the calling thread. Not thread-safe. Settings: docs/adr/0012-parquet-settings.md.
class ParquetWriter {
 public:
  // Rows of a row group: what a reader must hold of a column at once. Named limit.
  static constexpr size_t kRowGroupRows = 1U << 18;
  // Smaller batches are gathered to this many rows before they are encoded.
  static constexpr size_t kGatheredRows = 1U << 14;

  // Errors: kInternal when Arrow refuses the schema (it holds no type that it could).
  static base::Result<std::unique_ptr<ParquetWriter>> Make(columns::SchemaRef schema);
  virtual ~ParquetWriter() = default;

  // Appends rows of the writer's schema. Errors: kInternal, kInvalidInput from Arrow; the writer is
  // worthless then.
  virtual base::Result<void> Write(const columns::ColumnBatch& rows) = 0;
  // Rows so far, and their bytes before they were encoded.
  virtual uint64_t rows() const = 0;
  virtual uint64_t bytes() const = 0;
  // The memory that the writer holds now, and needs to encode what it has gathered.
  virtual uint64_t held_bytes() const = 0;
  // Ends the file. Once.
  virtual base::Result<EncodedFile> Finish() = 0;
};

}  // namespace headrace::tables
