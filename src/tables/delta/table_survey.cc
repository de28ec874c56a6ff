#include "tables/delta/table_survey.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include <nlohmann/json.hpp>

#include "tables/delta/checkpoint_reader.h"
#include "tables/delta/log_listing.h"
#include "tables/delta/log_replay.h"
#include "tables/delta/log_upkeep.h"
#include "tables/delta/table_schema.h"

namespace headrace::tables::delta {
namespace {

using base::Result;

constexpr base::Duration kRemovalRetention = std::chrono::hours(7 * 24);
constexpr int kFolderDepthMax = 16;

base::Duration RetentionOf(const Metadata& metadata, const char* property, base::Duration usual) {
  const auto found = metadata.configuration.find(property);
  if (found == metadata.configuration.end()) return usual;
  return ParseInterval(found->second).value_or(usual);
}

// Whether the statistics, which are JSON of whoever wrote them, bound some column.
bool HasBounds(const nlohmann::json& stats) {
  const auto least = stats.find("minValues");
  return least != stats.end() && least->is_object() && !least->empty();
}

// Adds the files of a version up.
class Counting final : public FileSink {
 public:
  Result<void> Add(AddFile file) override {
    ++figures.files;
    figures.bytes += file.size;
    figures.stored_rows += file.rows;
    figures.rows += file.rows;
    sizes.push_back(file.size);
    std::string partition;
    for (const auto& [column, value] : file.partition_values)
      partition += column + "=" + value.value_or("") + "/";
    Partition& in = partitions[partition];
    if (file.size < kSmallFileBytes) {
      ++figures.small;
      figures.small_bytes += file.size;
      in.small_bytes += file.size;
      in.has_small = true;
    }
    const auto stats = nlohmann::json::parse(file.stats, nullptr, /*allow_exceptions=*/false);
    if (!stats.is_object() || !stats.contains("numRecords")) ++figures.without_rows;
    if (!stats.is_object() || !HasBounds(stats)) ++figures.without_bounds;
    if (file.deletion_vector) {
      const auto deleted = static_cast<uint64_t>(file.deletion_vector->cardinality);
      ++figures.with_deletions;
      figures.deleted_rows += deleted;
      figures.rows -= std::min(deleted, file.rows);
    }
    if (for_layout.size() < Layout::kFilesMax)
      for_layout.push_back({.path = file.path,
                            .stats = std::move(file.stats),
                            .partition_values = std::move(file.partition_values)});
    live.insert(std::move(file.path));
    return {};
  }
  Result<void> Remove(RemoveFile file) override {
    removed[std::move(file.path)] = file.deleted_ms.value_or(0);
    return {};
  }
  void Restart() override { *this = Counting(); }

  void Finish() {
    std::ranges::sort(sizes);
    if (!sizes.empty()) figures.median_bytes = sizes[sizes.size() / 2];
    figures.partitions = partitions.size();
    for (const auto& [name, partition] : partitions)
      if (partition.has_small)
        figures.after_packing += (partition.small_bytes + kTargetFileBytes) / kTargetFileBytes;
  }

  struct Partition {
    uint64_t small_bytes = 0;
    bool has_small = false;
  };
  FileFigures figures;
  std::vector<uint64_t> sizes;
  std::map<std::string, Partition> partitions;
  std::unordered_set<std::string> live;
  std::map<std::string, int64_t> removed;  // path -> when
  std::vector<AddFile> for_layout;         // their statistics and partition values
};

class Survey {
 public:
  Survey(env::Environment& environment, std::string folder)
      : environment_(environment), folder_(std::move(folder)), log_(folder_ + "/_delta_log") {}

  Result<TableSurvey> Run() {
    HR_TRY(survey_.state, ReplayLog(files(), folder_, std::nullopt, &counting_, Compacted::kRead));
    counting_.Finish();
    survey_.files = counting_.figures;
    // A table of a mode of mapping that is not read has no layout to be told.
    if (const auto columns = ReadTableColumns(*survey_.state.metadata))
      survey_.layout = LayoutOf(*columns, counting_.for_layout);
    HR_TRY_VOID(LookAtLog());
    HR_TRY(const std::string root, files().Resolve(folder_));
    HR_TRY_VOID(LookAtFolder("", root, 0));
    for (const std::string& path : counting_.live) {
      if (seen_.contains(path)) continue;
      HR_TRY(const bool there, files().Exists(folder_ + "/" + path));  // in a hidden folder
      if (there) continue;
      ++survey_.files.missing;
      if (survey_.files.first_missing.empty() || path < survey_.files.first_missing)
        survey_.files.first_missing = path;
    }
    return std::move(survey_);
  }

 private:
  env::Files& files() { return environment_.files(); }

  Result<void> LookAtLog() {
    LogFigures& log = survey_.log;
    HR_TRY(const LogListing listing, ListLog(files(), log_));
    log.commits = listing.commits.size();
    log.oldest = listing.commits.front();
    for (auto at = listing.checkpoints.rbegin(); at != listing.checkpoints.rend(); ++at) {
      const auto head = ReadCheckpoint(files(), log_, *at, nullptr);
      if (head) {
        log.checkpoint = at->version;
        break;
      }
      log.damaged.push_back(head.error().ToString());
    }
    const auto hint = Hinted();
    const bool found = !listing.checkpoints.empty() && listing.checkpoints.back().version >= hint;
    if (hint && !found) log.lost = hint;
    HR_TRY(const std::vector<std::string> names, files().List(log_));
    const base::Timestamp cutoff =
        environment_.clock().Wall() - RetentionOf(*survey_.state.metadata,
                                                  "delta.logRetentionDuration",
                                                  UpkeepOptions().log_retention);
    std::optional<int64_t> expired;  // the newest commit that is old enough
    std::map<int64_t, uint64_t> bytes;
    for (const std::string& name : names) {
      const auto facts = files().Facts(log_ + "/" + name);
      const auto version = VersionOfName(name);
      if (!facts) continue;  // a folder, or gone meanwhile
      log.bytes += facts->bytes;
      if (!version) continue;
      bytes[*version] += facts->bytes;
      if (name != VersionedName(*version, ".json")) continue;  // a checkpoint, a compaction ...
      if (*version == listing.commits.back()) log.newest_at = facts->modified_at;
      if (IsAsOldAs(*facts, cutoff)) expired = version;
      if (*version <= log.checkpoint.value_or(-1)) continue;
      ++log.since_checkpoint;
      log.since_checkpoint_bytes += facts->bytes;
    }
    std::optional<int64_t> kept;  // the checkpoint that would stand for what goes
    for (const CheckpointFiles& checkpoint : listing.checkpoints)
      if (expired && checkpoint.version <= *expired) kept = checkpoint.version;
    for (const int64_t version : listing.commits)
      if (kept && version < *kept) ++log.expired;
    for (const auto& [version, size] : bytes)
      if (kept && version < *kept) log.expired_bytes += size;
    return {};
  }

  // The version that _last_checkpoint names.
  std::optional<int64_t> Hinted() {
    const auto bytes = files().ReadAll(log_ + "/_last_checkpoint");
    if (!bytes) return std::nullopt;
    const auto hint = nlohmann::json::parse(*bytes, nullptr, /*allow_exceptions=*/false);
    if (!hint.is_object() || !hint.contains("version") || !hint["version"].is_number_integer())
      return std::nullopt;
    return hint["version"].get<int64_t>();
  }

  // What is nobody's: Delta leaves such names alone, but for partitions of a column of that name.
  bool IsHidden(const std::string& name) const {
    return (name.starts_with('_') || name.starts_with('.')) &&
           std::ranges::none_of(
               survey_.state.metadata->partition_columns,
               [&](const std::string& column) { return name.starts_with(column + "="); });
  }

  // Files of the table's folder that its newest version does not name. Links are not followed: what
  // they lead to is somebody else's, or counted where it lies. `resolved`: the folder's own path.
  Result<void> LookAtFolder(const std::string& below, const std::string& resolved, int depth) {
    const std::string folder = below.empty() ? folder_ : folder_ + "/" + below;
    HR_TRY(const std::vector<std::string> names, files().List(folder));
    const base::Timestamp old =
        environment_.clock().Wall() - RetentionOf(*survey_.state.metadata,
                                                  "delta.deletedFileRetentionDuration",
                                                  kRemovalRetention);
    for (const std::string& name : names) {
      if (IsHidden(name)) continue;
      const std::string path = below.empty() ? name : below + "/" + name;
      const bool live = counting_.live.contains(path);
      if (live) seen_.insert(path);
      if (live) continue;
      const std::string own = resolved + "/" + name;
      const auto leads_to = files().Resolve(folder_ + "/" + path);
      if (!leads_to || *leads_to != own) continue;
      if (!name.ends_with(".parquet") && depth < kFolderDepthMax &&
          LookAtFolder(path, own, depth + 1).has_value())
        continue;
      const auto facts = files().Facts(folder_ + "/" + path);
      if (!facts || !name.ends_with(".parquet") || !IsAsOldAs(*facts, old)) continue;
      const auto removed = counting_.removed.find(path);
      if (removed != counting_.removed.end() && removed->second > old.us / 1000) continue;
      ++survey_.files.unreferenced;
      survey_.files.unreferenced_bytes += facts->bytes;
    }
    return {};
  }

  env::Environment& environment_;
  const std::string folder_;
  const std::string log_;
  Counting counting_;
  std::unordered_set<std::string> seen_;
  TableSurvey survey_;
};

}  // namespace

Result<TableSurvey> SurveyTable(env::Environment& environment, const std::string& folder) {
  return Survey(environment, folder).Run();
}

}  // namespace headrace::tables::delta
