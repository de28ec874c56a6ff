#pragma once
// The columns of a checkpoint that we write (PROTOCOL, "Checkpoint Schema"): a struct for each kind
// of action, all but one null in a row.

#include <memory>

namespace arrow {
class Schema;
}

namespace headrace::tables::delta {

inline constexpr const char* kCheckpointCreatedBy = "headrace checkpoint 1";
// Key-value pairs of the footer.
inline constexpr const char* kFilesKey = "headrace.files";
inline constexpr const char* kFileBytesKey = "headrace.file_bytes";
inline constexpr const char* kRemovalsKey = "headrace.removals";  // kRemovalsKnown, or not
inline constexpr const char* kRemovalsKnown = "known";
inline constexpr const char* kForgottenKey = "headrace.forgotten_ms";  // of LogState
inline constexpr const char* kChecksumKey = "headrace.checksum";

// txn, add, remove, metaData, protocol.
std::shared_ptr<arrow::Schema> CheckpointSchema();

}  // namespace headrace::tables::delta
