#include "tables/delta/version_list.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "tables/delta/actions.h"
#include "tables/delta/log_listing.h"
#include "tables/delta/log_replay.h"

namespace headrace::tables::delta {
namespace {

std::optional<double> MetricIn(const Commit& commit, std::string_view name) {
  const auto found = std::ranges::find(
      commit.metrics, name, [](const auto& metric) { return std::string_view(metric.first); });
  if (found == commit.metrics.end()) return std::nullopt;
  double value = 0;
  const char* end = found->second.data() + found->second.size();
  const auto [at, error] = std::from_chars(found->second.data(), end, value);
  return error == std::errc() && at == end && std::isfinite(value) ? std::optional(value)
                                                                   : std::nullopt;
}

}  // namespace

CommitCosts CostsOf(const std::vector<VersionFacts>& versions) {
  CommitCosts costs;
  double age_sum = 0;
  for (const VersionFacts& version : versions) {
    if (version.rows_added == 0 || version.files_removed > 0) continue;
    ++costs.commits;
    costs.files += version.files_added;
    costs.rows += version.rows_added;
    costs.data_bytes += version.bytes_added;
    costs.log_bytes += version.log_bytes;
    if (!version.age_mean_ms) continue;
    costs.aged_rows += version.rows_added;
    age_sum += *version.age_mean_ms * static_cast<double>(version.rows_added);
    costs.age_max_ms = std::max(costs.age_max_ms, version.age_max_ms.value_or(0));
  }
  if (costs.aged_rows > 0) costs.age_mean_ms = age_sum / static_cast<double>(costs.aged_rows);
  return costs;
}

base::Result<std::vector<VersionFacts>> ListVersions(env::Files& files, const std::string& folder,
                                                     size_t most) {
  const std::string log = folder + "/_delta_log";
  HR_TRY(const LogListing listing, ListLog(files, log));
  std::vector<VersionFacts> all;
  for (auto at = listing.commits.rbegin(); at != listing.commits.rend() && all.size() < most;
       ++at) {
    const std::string path = log + "/" + VersionedName(*at, ".json");
    HR_TRY(const env::FileFacts file, files.Facts(path));
    HR_TRY(const Commit commit, ReadCommit(files, folder, *at));
    VersionFacts& facts = all.emplace_back(VersionFacts{.version = *at,
                                                        .at = file.modified_at,
                                                        .operation = commit.operation,
                                                        .epoch = {},
                                                        .files_added = commit.adds.size(),
                                                        .files_removed = commit.removes.size()});
    for (const Transaction& txn : commit.transactions)
      if (txn.application.starts_with("headrace/")) facts.epoch = txn.version;
    facts.log_bytes = file.bytes;
    facts.age_mean_ms = MetricIn(commit, kRowAgeMeanMetric);
    facts.age_max_ms = MetricIn(commit, kRowAgeMaxMetric);
    for (const AddFile& add : commit.adds) {
      facts.rows_added += add.rows;
      facts.bytes_added += add.size;
    }
  }
  return all;
}

}  // namespace headrace::tables::delta
