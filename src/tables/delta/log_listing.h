#pragma once
// Which files a table's _delta_log has, by their names alone (PROTOCOL, "Delta Log Entries",
// "Checkpoints"). _last_checkpoint is a hint to whoever can't list a folder cheaply; it is not used
// here, so it can't mislead.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "env/files.h"

namespace headrace::tables::delta {

// A checkpoint that has all its files, as far as names tell.
struct CheckpointFiles {
  enum class Kind : uint8_t {
    kClassic,    // one Parquet file; may be a V2 checkpoint inside
    kMultiPart,  // several, in order
    kUuid,       // V2, Parquet or JSON, with a UUID in its name
  };
  int64_t version = 0;
  Kind kind = Kind::kClassic;
  std::vector<std::string> names;
};

// A log compaction file, `X.Y.compacted.json`: what commits X to Y did, as one. It may be read in
// their place.
struct CompactedFile {
  int64_t first = 0;
  int64_t last = 0;
  std::string name;
};

struct LogListing {
  std::vector<int64_t> commits;              // ascending
  std::vector<CheckpointFiles> checkpoints;  // by version, ascending
  std::vector<CompactedFile> compacted;      // by first, the longest before others
  std::vector<std::string> others;           // .crc, _last_checkpoint, temporary ...
  // Whoever has left a versioned file or the hint, whole or not, had a table here.
  bool had_table = false;
  std::optional<int64_t> newest() const;  // of commits
};

// Errors: kNotFound when there is no such folder.
base::Result<LogListing> ListLog(env::Files& files, const std::string& log_folder);

// The longest that begins at `first` and ends no later than `last`; null when there is none.
const CompactedFile* CompactedFrom(const LogListing& listing, int64_t first, int64_t last);

// "00000000000000000012.json", and with another ending.
std::string VersionedName(int64_t version, std::string_view ending);
// The version that a name of the log begins with, whatever it ends with; nothing when it begins
// otherwise.
std::optional<int64_t> VersionOfName(std::string_view name);

// Every commit of (after, last] is there. Errors: kCorruption that names the first one missing.
base::Result<void> CheckContiguous(const LogListing& listing, int64_t after, int64_t last);

}  // namespace headrace::tables::delta
