#pragma once
// What a table's log says at one version, without the files.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "tables/delta/actions.h"
#include "tables/delta/file_sink.h"

namespace headrace::tables::delta {

struct LogState {
  int64_t version = -1;
  std::optional<Protocol> protocol;
  std::optional<Metadata> metadata;
  std::map<std::string, Transaction> transactions;  // by application
  std::set<std::string> domains;                    // of live domainMetadata
  // Of all files; nothing when another writer's changes were not counted.
  std::optional<FileSums> sums;
  std::optional<int64_t> checkpoint;  // the version of the one that was read; none: every commit
  // Nobody's checkpoint but ours was read: all removals of files that we keep are known.
  bool removals_known = true;
  // No removal of a file that was made after it is missing: checkpoints let go of those that have
  // expired. 0: none is.
  int64_t forgotten_ms = 0;
  // The newest with our checksum among the commits after the checkpoint.
  std::optional<int64_t> newest_ours;

  // One commit further. Its files are counted only.
  void Apply(const Commit& commit);
};

}  // namespace headrace::tables::delta
