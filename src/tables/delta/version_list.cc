#include "tables/delta/version_list.h"

#include "tables/delta/actions.h"
#include "tables/delta/log_listing.h"

namespace headrace::tables::delta {

base::Result<std::vector<VersionFacts>> ListVersions(env::Files& files, const std::string& folder,
                                                     size_t most) {
  const std::string log = folder + "/_delta_log";
  HR_TRY(const LogListing listing, ListLog(files, log));
  std::vector<VersionFacts> all;
  for (auto at = listing.commits.rbegin(); at != listing.commits.rend() && all.size() < most;
       ++at) {
    const std::string path = log + "/" + VersionedName(*at, ".json");
    HR_TRY(const std::vector<uint8_t> bytes, files.ReadAll(path));
    HR_TRY(const env::FileFacts file, files.Facts(path));
    const auto commit = ParseCommit(bytes);
    if (!commit) return base::Fail(base::Error(commit.error()).With("file", path));
    VersionFacts& facts = all.emplace_back(VersionFacts{.version = *at,
                                                        .at = file.modified_at,
                                                        .operation = commit->operation,
                                                        .epoch = {},
                                                        .files_added = commit->adds.size(),
                                                        .files_removed = commit->removes.size()});
    for (const Transaction& txn : commit->transactions)
      if (txn.application.starts_with("headrace/")) facts.epoch = txn.version;
    for (const AddFile& add : commit->adds) {
      facts.rows_added += add.rows;
      facts.bytes_added += add.size;
    }
  }
  return all;
}

}  // namespace headrace::tables::delta
