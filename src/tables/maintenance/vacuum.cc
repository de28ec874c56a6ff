#include "tables/maintenance/vacuum.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "tables/delta/file_sink.h"
#include "tables/delta/log_listing.h"
#include "tables/delta/log_replay.h"
#include "tables/delta/log_upkeep.h"
#include "tables/delta/support.h"

namespace headrace::tables {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

// File times are those of a coarse clock: what is written from now on is never taken for older.
constexpr base::Duration kClockSlack = std::chrono::seconds(1);

class Named final : public delta::FileSink {
 public:
  Result<void> Add(delta::AddFile file) override {
    live_.insert(std::move(file.path));
    return {};
  }
  Result<void> Remove(delta::RemoveFile file) override {
    NoteRemoved(file);
    return {};
  }
  void NoteRemoved(const delta::RemoveFile& file) {
    int64_t& deleted_ms = removed_[file.path];
    deleted_ms = std::max(deleted_ms, file.deleted_ms.value_or(0));
  }
  void Restart() override {
    live_.clear();
    removed_.clear();
  }

  bool IsLive(const std::string& name) const { return live_.contains(name); }
  bool WasThereAfter(const std::string& name, base::Timestamp time) const {
    const auto found = removed_.find(name);
    return found != removed_.end() && found->second > time.us / 1000;
  }

 private:
  std::unordered_set<std::string> live_;
  std::unordered_map<std::string, int64_t> removed_;  // when, the newest
};

base::Duration FloorOf(const delta::Metadata& metadata) {
  const auto found = metadata.configuration.find("delta.deletedFileRetentionDuration");
  if (found == metadata.configuration.end()) return kVacuumRetention;
  // What we can't read keeps everything.
  return delta::ParseInterval(found->second).value_or(base::Duration::max() / 4);
}

Result<base::Duration> RetentionOf(const VacuumRequest& request, const delta::Metadata& metadata) {
  const base::Duration floor = FloorOf(metadata);
  const base::Duration retain = request.retain.value_or(floor);
  if (retain >= floor || request.floor == VacuumRequest::Floor::kWaived) return retain;
  return Fail(base::Error(ErrorCode::kFailedPrecondition,
                          fmt::format("to keep removed files for {} is less than the {} of this "
                                      "table (delta.deletedFileRetentionDuration, 7d unless set): "
                                      "readers and time travel may still need them, and writers "
                                      "may be about to commit them; if nobody does, say "
                                      "--below-floor",
                                      base::FormatDuration(retain), base::FormatDuration(floor))));
}

// Where checkpoints have let go of removals after `cutoff`, the commits before them tell of those,
// while they are there.
Result<void> ReadForgotten(env::Files& files, const std::string& folder,
                           const delta::LogState& state, base::Timestamp cutoff, Named& named,
                           env::BackgroundPass& pass) {
  base::Timestamp told_since{state.forgotten_ms * 1000};
  if (told_since <= cutoff + kClockSlack) return {};
  for (int64_t version = state.checkpoint.value_or(-1); version >= 0; --version) {
    pass.Wait();
    const auto facts =
        files.Facts(folder + "/_delta_log/" + delta::VersionedName(version, ".json"));
    if (facts && delta::IsAsOldAs(*facts, cutoff)) return {};
    const auto commit = delta::ReadCommit(files, folder, version);
    if (!commit && commit.error().code() != ErrorCode::kNotFound) return Fail(commit.error());
    if (!facts || !commit)
      return Fail(ErrorCode::kFailedPrecondition,
                  fmt::format("which files were in the table after {} can't be told: of removals "
                              "before {} neither a commit (delta.logRetentionDuration) nor a "
                              "checkpoint (delta.deletedFileRetentionDuration) tells any more; "
                              "ask for a shorter retention, and for the time to come set "
                              "delta.deletedFileRetentionDuration to the one that is wanted",
                              base::FormatTimestamp(cutoff), base::FormatTimestamp(told_since)));
    told_since = std::min(told_since, facts->modified_at);
    for (const delta::RemoveFile& remove : commit->removes) named.NoteRemoved(remove);
  }
  return {};
}

}  // namespace

Result<VacuumReport> VacuumTable(env::Environment& environment, const std::string& folder,
                                 const VacuumRequest& request,
                                 const std::function<bool(std::string_view)>& is_planned,
                                 base::Timestamp now, env::BackgroundPass& pass) {
  env::Files& files = environment.files();
  // A reader that begins later reads the version that is read here, or a newer one.
  const auto read_since = request.read_since ? request.read_since() : std::nullopt;
  Named named;
  HR_TRY(const delta::LogState state, delta::ReplayLog(files, folder, std::nullopt, &named));
  HR_TRY_VOID(delta::CheckReadable(*state.protocol));
  HR_TRY_VOID(delta::CheckWritable(*state.protocol, *state.metadata));
  HR_TRY_VOID(delta::CheckPlain(*state.metadata));  // partitions have folders
  VacuumReport report;
  HR_TRY(report.retain, RetentionOf(request, *state.metadata));
  const base::Timestamp cutoff =
      std::min(now - report.retain, read_since.value_or(now)) - kClockSlack;
  HR_TRY(const std::vector<std::string> names, files.List(folder));
  bool all_told = false;
  for (const std::string& name : names) {
    pass.Wait();
    const bool data =
        name.ends_with(".parquet") && !name.starts_with('_') && !name.starts_with('.');
    if (!data || named.IsLive(name)) continue;
    const auto facts = files.Facts(folder + "/" + name);
    if (!facts) continue;  // a folder, or gone meanwhile
    const bool young = is_planned(name) || !delta::IsAsOldAs(*facts, cutoff);
    if (!young && !all_told) {
      HR_TRY_VOID(ReadForgotten(files, folder, state, cutoff, named, pass));
      all_told = true;
    }
    if (young || named.WasThereAfter(name, cutoff)) {
      ++report.kept_young;
      continue;
    }
    if (request.run == VacuumRequest::Run::kReal) {
      environment.CrashPoint("vacuum.before_remove");
      HR_TRY_VOID(files.Remove(folder + "/" + name));
      environment.CrashPoint("vacuum.after_remove");
    }
    ++report.files;
    report.bytes += facts->bytes;
    if (report.listed.size() < kVacuumListedMax)
      report.listed.push_back({name, facts->bytes, facts->modified_at});
  }
  if (report.files > 0 && request.run == VacuumRequest::Run::kReal)
    HR_TRY_VOID(files.SyncFolder(folder));
  return report;
}

}  // namespace headrace::tables
