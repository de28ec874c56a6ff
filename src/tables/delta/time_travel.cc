#include "tables/delta/time_travel.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "tables/delta/log_listing.h"
#include "tables/delta/log_replay.h"

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

// From which version on commits tell their own times, and what that version tells.
struct Enablement {
  int64_t version = 0;
  std::optional<int64_t> at_ms;  // nothing: from the table's first version on
};

std::optional<int64_t> NumberOf(const Metadata& metadata, const char* property) {
  const auto found = metadata.configuration.find(property);
  if (found == metadata.configuration.end()) return std::nullopt;
  const std::string& text = found->second;
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() ? std::optional(number) : std::nullopt;
}

// Nothing when no commit does.
std::optional<Enablement> EnablementOf(const Metadata& metadata) {
  const auto enabled = metadata.configuration.find("delta.enableInCommitTimestamps");
  if (enabled == metadata.configuration.end() || enabled->second != "true") return std::nullopt;
  const auto version = NumberOf(metadata, "delta.inCommitTimestampEnablementVersion");
  const auto at_ms = NumberOf(metadata, "delta.inCommitTimestampEnablementTimestamp");
  return version && at_ms ? Enablement{*version, at_ms} : Enablement{version.value_or(0), {}};
}

enum class Clock : uint8_t { kFile, kCommit };

Result<int64_t> TimeOf(env::Files& files, const std::string& folder, int64_t version, Clock clock) {
  if (clock == Clock::kCommit) {
    HR_TRY(const Commit commit, ReadCommit(files, folder, version));
    if (commit.in_commit_ms) return *commit.in_commit_ms;
    return Fail(
        ErrorCode::kCorruption,
        fmt::format("commit {} has no in-commit timestamp, where the table has them", version));
  }
  HR_TRY(const env::FileFacts facts,
         files.Facts(folder + "/_delta_log/" + VersionedName(version, ".json")));
  return facts.modified_at.us / 1000;
}

// The two clocks are never compared: those of copied files may be years ahead.
Result<int64_t> AtTime(env::Files& files, const std::string& folder, const LogState& newest,
                       base::Timestamp time) {
  HR_TRY(const LogListing listing, ListLog(files, folder + "/_delta_log"));
  const auto enabled = EnablementOf(*newest.metadata);
  const int64_t wanted_ms = time.us / 1000;
  const bool by_commit = enabled && (!enabled->at_ms || wanted_ms >= *enabled->at_ms);
  std::optional<int64_t> found;
  std::optional<int64_t> before_ms;
  for (const int64_t version : listing.commits) {
    if (enabled && by_commit != (version >= enabled->version)) continue;
    HR_TRY(int64_t ms, TimeOf(files, folder, version, by_commit ? Clock::kCommit : Clock::kFile));
    if (before_ms) ms = std::max(ms, *before_ms + 1);  // files that were copied keep the order
    before_ms = ms;
    if (ms > wanted_ms) break;
    found = version;
  }
  if (found) return *found;
  const std::string oldest = before_ms ? fmt::format(": the oldest commit that is kept is of {}",
                                                     base::FormatTimestamp({*before_ms * 1000}))
                                       : ": none of the commits of that time is kept";
  return Fail(ErrorCode::kNotFound,
              fmt::format("no version as old as {}{}", base::FormatTimestamp(time), oldest));
}

Result<std::string> OnlyApplication(const LogState& newest) {
  std::string only;
  for (const auto& [application, txn] : newest.transactions) {
    if (!application.starts_with("headrace/")) continue;
    if (!only.empty())
      return Fail(ErrorCode::kInvalidInput, "several logs publish into this table: name one");
    only = application;
  }
  if (!only.empty()) return only;
  return Fail(ErrorCode::kInvalidInput, "no marker of Headrace in this table: it has no epochs");
}

Result<int64_t> AtEpoch(env::Files& files, const std::string& folder, const LogState& newest,
                        const ReadAt& at) {
  std::string application = at.application;
  if (application.empty()) {
    HR_TRY(application, OnlyApplication(newest));
  }
  HR_TRY(const LogListing listing, ListLog(files, folder + "/_delta_log"));
  int64_t found = newest.version;
  for (auto version = listing.commits.rbegin(); version != listing.commits.rend(); ++version) {
    if (*version > newest.version) continue;
    HR_TRY(const Commit commit, ReadCommit(files, folder, *version));
    const auto txn = std::ranges::find(commit.transactions, application, &Transaction::application);
    if (txn == commit.transactions.end()) continue;
    if (txn->version <= *at.epoch) return found;
    found = *version - 1;
  }
  if (listing.commits.front() == 0 && found >= 0) return found;
  return Fail(
      ErrorCode::kNotFound,
      fmt::format("the commits that would tell about epoch {} were cleaned away", *at.epoch));
}

}  // namespace

Result<int64_t> FindVersion(env::Files& files, const std::string& folder, const LogState& newest,
                            const ReadAt& at) {
  if (at.version) return *at.version;
  if (at.time) return AtTime(files, folder, newest, *at.time);
  if (at.epoch) return AtEpoch(files, folder, newest, at);
  return newest.version;
}

}  // namespace headrace::tables::delta
