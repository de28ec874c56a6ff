#pragma once
// Where the files of a version go while its log is read.

#include "base/result.h"
#include "tables/delta/actions.h"

namespace headrace::tables::delta {

class FileSink {
 public:
  virtual ~FileSink() = default;
  // A file that the version has, and one that it no longer has. An error ends the reading.
  virtual base::Result<void> Add(AddFile file) = 0;
  virtual base::Result<void> Remove(RemoveFile file) = 0;
  // Forget all: what was read so far came from a damaged checkpoint.
  virtual void Restart() = 0;
};

// Of all files of a version.
struct FileSums {
  uint64_t files = 0;
  uint64_t bytes = 0;
  bool operator==(const FileSums&) const = default;
};

}  // namespace headrace::tables::delta
