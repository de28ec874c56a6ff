#pragma once
// Where scanned rows go: a Parquet file, an Arrow IPC file, or lines of JSON.

#include <cstdio>
#include <memory>
#include <string>

#include "base/result.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace headrace::app {

// Write, then Finish once. A file gets its name only with Finish: what breaks off leaves none.
class RowsFile {
 public:
  // By the path's ending, .parquet or .arrow; an empty path is JSON lines to `out`. Errors:
  // kInvalidInput for another ending or a column that JSON can't have; kIoError.
  static base::Result<std::unique_ptr<RowsFile>> Open(const std::string& path, std::FILE* out,
                                                      const std::shared_ptr<arrow::Schema>& schema);
  virtual ~RowsFile() = default;
  virtual base::Result<void> Write(const std::shared_ptr<arrow::RecordBatch>& rows) = 0;
  virtual base::Result<void> Finish() = 0;
};

}  // namespace headrace::app
