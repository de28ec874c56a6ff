#pragma once
// Where scanned rows go: a Parquet file, an Arrow IPC file, CSV, or lines of JSON.

#include <cstdio>
#include <memory>
#include <string>

#include "base/result.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace headrace::app {

// CSV quotes as RFC 4180 has it and has a header line; lines end with LF. NULL is nothing between
// the commas (an empty line where there is one column), an empty text is "", and lists and structs
// are their JSON. Write, then Finish once. A file gets its name only with
// Finish: what breaks off leaves none.
class RowsFile {
 public:
  enum class Lines : uint8_t { kJson, kCsv };
  // By the path's ending, .parquet, .arrow or .csv; an empty path is `lines` to `out`. Errors:
  // kInvalidInput for another ending or a column that lines can't have; kNotFound for its folder;
  // kIoError.
  static base::Result<std::unique_ptr<RowsFile>> Open(const std::string& path, std::FILE* out,
                                                      Lines lines,
                                                      const std::shared_ptr<arrow::Schema>& schema);
  virtual ~RowsFile() = default;
  virtual base::Result<void> Write(const std::shared_ptr<arrow::RecordBatch>& rows) = 0;
  virtual base::Result<void> Finish() = 0;
};

}  // namespace headrace::app
