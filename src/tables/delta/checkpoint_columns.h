#pragma once
// The actions in a batch of a checkpoint's rows. Writers differ in which columns and which of
// Arrow's text types they use; what is not there is null.

#include <memory>

#include "base/result.h"
#include "tables/delta/actions.h"
#include "tables/delta/file_sink.h"

namespace arrow {
class RecordBatch;
}

namespace headrace::tables::delta {

// Adds what is not about files to `head`, and hands files to `sink` unless it is null. Errors:
// kCorruption for an action without what it must have, and for a column of an unexpected type;
// those of TablePath and of the sink.
base::Result<void> TakeActions(const arrow::RecordBatch& batch, Commit& head, FileSink* sink);

// Whether TakeActions looks at the column of this path: {"add", "path"}.
bool IsActionColumn(const std::vector<std::string>& path, bool with_files);

}  // namespace headrace::tables::delta
