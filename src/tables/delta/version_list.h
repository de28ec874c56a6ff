#pragma once
// What each commit that is kept did to a table.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "env/files.h"

namespace headrace::tables::delta {

struct VersionFacts {
  int64_t version = 0;
  base::Timestamp at;             // its commit file's own time
  std::string operation;          // as its writer calls it; may be empty
  std::optional<uint64_t> epoch;  // that it published up to; nothing: it moved no marker of ours
  uint64_t files_added = 0;
  uint64_t files_removed = 0;
  uint64_t rows_added = 0;  // as far as statistics tell
  uint64_t bytes_added = 0;
  uint64_t log_bytes = 0;  // of the commit itself
  // How long its rows had been durable when it was made; nothing where its writer does not say.
  std::optional<double> age_mean_ms;
  std::optional<double> age_max_ms;
};

// What a table cost its writer, by the newest of its commits.
struct CommitCosts {
  uint64_t commits = 0, files = 0, rows = 0, data_bytes = 0, log_bytes = 0;
  uint64_t aged_rows = 0;  // of those that say how old their rows were
  double age_mean_ms = 0;  // over these rows
  double age_max_ms = 0;
};
// Of those that brought rows.
CommitCosts CostsOf(const std::vector<VersionFacts>& versions);

// The newest `most`, the newest first. Errors: kNotFound when there is no table; kCorruption for a
// broken commit.
base::Result<std::vector<VersionFacts>> ListVersions(env::Files& files, const std::string& folder,
                                                     size_t most);

}  // namespace headrace::tables::delta
