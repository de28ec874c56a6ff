#pragma once
// Column batches as the bytes of one Parquet file: the data files of every table format. The same
// rows, cut into the same batches, give the same bytes from the same build.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
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
  columns::Buffer bytes;  // empty when they went elsewhere
  uint64_t rows = 0;
  std::vector<ColumnStats> stats;  // one a field of the schema
};

// Encodes on the calling thread. Not thread-safe. Settings: docs/adr/0012-parquet-settings.md.
class ParquetWriter {
 public:
  // Takes the file's next bytes: whole pieces of kPieceBytes but for the last.
  using Append = std::function<base::Result<void>(std::span<const uint8_t>)>;
  static constexpr size_t kPieceBytes = 1U << 20;

  // A row group: what a reader must hold of a column at once, and a writer of all of them. It ends
  // at whichever limit comes first; bytes are counted before they are encoded. Named limits.
  static constexpr size_t kRowGroupRows = 1U << 18;
  static constexpr size_t kRowGroupBytes = 32U << 20;
  // Smaller batches are gathered until they have so many rows or bytes before they are encoded.
  static constexpr size_t kGatheredRows = 1U << 14;
  static constexpr size_t kGatheredBytes = 4U << 20;

  // The whole file stays in memory.
  static std::unique_ptr<ParquetWriter> Make(columns::SchemaRef schema);
  // No more of it than a row group does.
  static std::unique_ptr<ParquetWriter> Make(columns::SchemaRef schema, Append append);
  virtual ~ParquetWriter() = default;

  // Appends rows of the writer's schema. Errors: kInternal, kInvalidInput from Arrow, those of
  // `append`; the writer is worthless then.
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
