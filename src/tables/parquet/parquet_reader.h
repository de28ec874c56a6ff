#pragma once
// Reads Parquet files, ours or another engine's, as column batches: any subset of columns, a part
// at a time.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "columns/batch.h"
#include "env/files.h"

namespace headrace::tables {

// Where a wanted column is in a file.
struct ColumnPlace {
  std::string name;                 // in the file; or
  std::optional<int32_t> field_id;  // its Parquet field id, which then decides alone
  // Dates may stand for timestamps without a zone, as in a Delta table whose column was widened.
  enum class Widening : uint8_t { kNo, kYes } widening = Widening::kNo;
  // Of a field inside a struct: the steps from the column above. It is null where a struct is.
  struct Step {
    std::string name;
    std::optional<int32_t> field_id;
  };
  std::vector<Step> below = {};
  // Decimals and integers, as the text of a decimal with so many digits after the point.
  std::optional<int> decimal_scale = {};
};

// The rows of one file, a part at a time, in the file's row order. Not thread-safe.
class ParquetRows {
 public:
  virtual ~ParquetRows() = default;
  // Nothing after the last part. Errors: kCorruption, kIoError; kUnsupported for times of the
  // Julian calendar.
  virtual base::Result<std::optional<columns::ColumnBatch>> Next() = 0;
};

// Decodes on the calling thread. Not thread-safe.
class ParquetReader {
 public:
  // Rows of the parts that are handed out, at most; and about their bytes, by what the file says of
  // its columns, unless kPartRowsMin rows have more. A part that is larger than DecodingPool
  // allows, as text that repeats may be, is read in smaller ones.
  static constexpr int64_t kPartRows = 1 << 16;
  static constexpr int64_t kPartRowsMin = 1 << 8;
  static constexpr int64_t kPartBytes = 8 << 20;

  // With a checksum (XXH3-64 of the file) the file is read whole into memory and checked first: the
  // format itself leaves footers and page headers unchecked. Errors: those of the file; kCorruption
  // when it is no Parquet file, or another one than the checksum's.
  static base::Result<std::unique_ptr<ParquetReader>> Open(
      env::Files& files, const std::string& path, std::optional<uint64_t> checksum = std::nullopt);
  virtual ~ParquetReader() = default;

  virtual uint64_t rows() const = 0;
  // All columns, ids 1, 2, 3 ... Errors: kUnsupported for a column without a counterpart.
  virtual base::Result<columns::SchemaRef> schema() const = 0;

  using Visit = std::function<base::Result<void>(const columns::ColumnBatch&)>;
  // The columns of `wanted`, matched by name and converted as columns::FromArrow does, in the
  // file's row order. A nullable field that the file lacks is null throughout. Errors:
  // kInvalidInput for one that is not nullable or of another type; kCorruption, kIoError while
  // reading; those of `visit`.
  base::Result<void> Scan(const columns::SchemaRef& wanted, const Visit& visit);
  // The same, with a place for each wanted column.
  base::Result<void> Scan(const columns::SchemaRef& wanted, std::span<const ColumnPlace> places,
                          const Visit& visit);
  // The same, handed out on demand. The reader outlives what is returned; one at a time.
  virtual base::Result<std::unique_ptr<ParquetRows>> Begin(const columns::SchemaRef& wanted,
                                                           std::span<const ColumnPlace> places) = 0;
  // The same as one batch.
  base::Result<columns::ColumnBatch> ReadAll(const columns::SchemaRef& wanted);
};

}  // namespace headrace::tables
