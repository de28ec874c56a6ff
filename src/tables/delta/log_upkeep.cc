#include "tables/delta/log_upkeep.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "tables/delta/checkpoint_reader.h"
#include "tables/delta/log_listing.h"
#include "tables/delta/log_replay.h"

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using Json = nlohmann::ordered_json;

constexpr base::Duration kDay = std::chrono::hours(24);
constexpr base::Duration kRemovalRetention = std::chrono::hours(7 * 24);
// While the engine is pressed a checkpoint waits, this long at most, between so many rows.
constexpr base::Duration kYieldMax = std::chrono::seconds(10);
constexpr uint64_t kRowsBetweenAsking = 1024;

base::Duration Retention(const Metadata& metadata, const char* property, base::Duration otherwise) {
  const auto found = metadata.configuration.find(property);
  if (found == metadata.configuration.end()) return otherwise;
  // What we can't read keeps everything.
  return ParseInterval(found->second).value_or(base::Duration::max());
}

int64_t MsBefore(env::Environment& environment, base::Duration span) {
  const int64_t now_us = environment.clock().Wall().us;
  return span.count() >= now_us ? 0 : (now_us - span.count()) / 1000;
}

// Writes what it is given, but for tombstones whose time is over. The metadata that says how long
// that is comes only after the files, so both are read first.
class IntoCheckpoint final : public FileSink {
 public:
  IntoCheckpoint(env::Environment& environment, std::string path, int64_t expired_ms,
                 const UpkeepOptions& options)
      : files_(environment.files()),
        path_(std::move(path)),
        expired_ms_(expired_ms),
        kept_(options.kept_removals ? options.kept_removals() : nullptr),
        pass_(environment, env::WorkClass::kMaintenance,
              "checkpoint of a table: " + base::FormatDuration(kYieldMax), kYieldMax) {}

  Result<void> Add(AddFile file) override {
    if (++added_ % kRowsBetweenAsking == 0) pass_.Wait();
    HR_TRY_VOID(Open());
    if (kept_) HR_TRY_VOID(kept_->Note(file));
    return writer_->Add(file);
  }
  Result<void> Remove(RemoveFile file) override {
    if (file.deleted_ms.value_or(0) < expired_ms_) {
      kept_ ? expired_.push_back(std::move(file)) : Forget(file);
      return {};
    }
    HR_TRY_VOID(Open());
    return writer_->Remove(file);
  }
  void Restart() override {
    writer_.reset();
    forgotten_ms_ = 0;
    expired_.clear();
  }

  Result<CheckpointFigures> Publish(LogState state) {
    HR_TRY_VOID(Open());
    for (const RemoveFile& file : expired_) {
      if (kept_->Keeps(file.path)) {
        HR_TRY_VOID(writer_->Remove(file));
      } else {
        Forget(file);
      }
    }
    state.forgotten_ms = std::max(state.forgotten_ms, forgotten_ms_);
    files_.CrashPoint("checkpoint.before_publish");
    return writer_->Publish(state);
  }

 private:
  Result<void> Open() {
    if (writer_ != nullptr) return {};
    HR_TRY(writer_, CheckpointWriter::Create(files_, path_));
    return {};
  }
  void Forget(const RemoveFile& file) {
    forgotten_ms_ = std::max(forgotten_ms_, file.deleted_ms.value_or(0));
  }

  env::Files& files_;
  const std::string path_;
  const int64_t expired_ms_;
  const std::unique_ptr<KeptRemovals> kept_;
  env::BackgroundPass pass_;
  int64_t forgotten_ms_ = 0;
  std::vector<RemoveFile> expired_;  // some may stay
  uint64_t added_ = 0;
  std::unique_ptr<CheckpointWriter> writer_;
};

Result<void> RemoveLeftovers(env::Files& files, const std::string& log) {
  HR_TRY(const std::vector<std::string> names, files.List(log));
  for (const std::string& name : names) {
    const bool ours = env::IsTemporaryName(name) && name.find(".checkpoint.") != std::string::npos;
    if (ours) HR_TRY_VOID(files.Remove(log + "/" + name));
  }
  return {};
}

Result<void> WriteHint(env::Files& files, const std::string& log, const CheckpointFigures& made) {
  const Json hint = {{"version", made.version},
                     {"size", made.actions},
                     {"sizeInBytes", made.bytes},
                     {"numOfAddFiles", made.sums.files}};
  const std::string text = base::JsonText(hint);
  return env::PutAtomically(files, log + "/_last_checkpoint",
                            {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

}  // namespace

Result<std::optional<CheckpointFigures>> WriteCheckpoint(env::Environment& environment,
                                                         const std::string& folder, int64_t version,
                                                         const UpkeepOptions& options) {
  env::Files& files = environment.files();
  const std::string log = folder + "/_delta_log";
  environment.CrashPoint("checkpoint.before_write");
  HR_TRY_VOID(RemoveLeftovers(files, log));
  HR_TRY(const LogState head, ReplayLog(files, folder, version, nullptr));
  if (!head.domains.empty())
    return Fail(ErrorCode::kUnsupported, "a table with domain metadata, which we don't carry over");
  const base::Duration kept =
      Retention(*head.metadata, "delta.deletedFileRetentionDuration", kRemovalRetention);
  const std::string path = log + "/" + VersionedName(version, ".checkpoint.parquet");
  IntoCheckpoint sink(environment, path, MsBefore(environment, kept), options);
  HR_TRY(const LogState state, ReplayLog(files, folder, version, &sink));
  auto made = sink.Publish(state);
  if (!made && made.error().code() == ErrorCode::kAlreadyExists) return std::nullopt;
  if (!made) return Fail(std::move(made).error());
  environment.CrashPoint("checkpoint.after_publish");
  HR_TRY_VOID(WriteHint(files, log, *made));
  environment.CrashPoint("checkpoint.after_hint");
  return std::optional(*made);
}

Result<uint64_t> WriteChecksumFile(env::Environment& environment, const std::string& folder,
                                   const LogState& state) {
  if (!state.sums) return 0;
  Json transactions = Json::array();
  for (const auto& [application, txn] : state.transactions) {
    Json json = {{"appId", application}, {"version", txn.version}};
    if (txn.updated_ms) json["lastUpdated"] = *txn.updated_ms;
    transactions.push_back(std::move(json));
  }
  const Json json = {{"tableSizeBytes", state.sums->bytes},
                     {"numFiles", state.sums->files},
                     {"numMetadata", 1},
                     {"numProtocol", 1},
                     {"setTransactions", std::move(transactions)},
                     {"metadata", Json::parse(RenderMetadata(*state.metadata))},
                     {"protocol", Json::parse(RenderProtocol(*state.protocol))}};
  const std::string text = base::JsonText(json);
  environment.CrashPoint("checksum.before_put");
  auto put = env::PutIfAbsent(environment.files(),
                              folder + "/_delta_log/" + VersionedName(state.version, ".crc"),
                              {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  environment.CrashPoint("checksum.after_put");
  if (!put && put.error().code() == ErrorCode::kAlreadyExists) return 0;
  if (!put) return Fail(std::move(put).error());
  return text.size();
}

namespace {

// The newest commit that is not newer than `cutoff`, by the files' own times, which never go back
// from one version to the next for this purpose.
Result<std::optional<int64_t>> NewestOlderThan(env::Files& files, const std::string& log,
                                               const std::vector<int64_t>& commits,
                                               base::Timestamp cutoff) {
  std::optional<int64_t> newest;
  for (const int64_t version : commits) {
    HR_TRY(const env::FileFacts facts, files.Facts(log + "/" + VersionedName(version, ".json")));
    if (!IsAsOldAs(facts, cutoff)) break;
    newest = version;
  }
  return newest;
}

Result<size_t> RemoveBefore(env::Environment& environment, const std::string& log,
                            int64_t version) {
  HR_TRY(std::vector<std::string> names, environment.files().List(log));
  size_t removed = 0;
  for (const std::string& name : names) {  // by version, since they are sorted
    const auto of = VersionOfName(name);
    if (!of || *of >= version) continue;
    environment.CrashPoint("cleanup.before_remove");
    HR_TRY_VOID(environment.files().Remove(log + "/" + name));
    environment.CrashPoint("cleanup.after_remove");
    ++removed;
  }
  HR_TRY_VOID(environment.files().SyncFolder(log));
  environment.CrashPoint("cleanup.after_sync");
  return removed;
}

}  // namespace

Result<size_t> CleanUpLog(env::Environment& environment, const std::string& folder,
                          const LogState& state, const UpkeepOptions& options) {
  const auto enabled = state.metadata->configuration.find("delta.enableExpiredLogCleanup");
  if (enabled != state.metadata->configuration.end() && enabled->second == "false") return 0;
  const base::Duration retention =
      std::max(Retention(*state.metadata, "delta.logRetentionDuration", options.log_retention),
               options.log_retention_min);
  base::Timestamp cutoff{MsBefore(environment, retention) * 1000};
  if (retention >= kDay) cutoff.us -= cutoff.us % kDay.count();

  env::Files& files = environment.files();
  const std::string log = folder + "/_delta_log";
  HR_TRY(const LogListing listing, ListLog(files, log));
  HR_TRY(const auto old, NewestOlderThan(files, log, listing.commits, cutoff));
  const CheckpointFiles* kept = nullptr;
  for (const CheckpointFiles& checkpoint : listing.checkpoints)
    if (old && checkpoint.version <= *old) kept = &checkpoint;
  if (kept == nullptr || listing.commits.front() >= kept->version) return 0;
  // Only its own word stands for what is removed; sidecars are left to whoever writes them.
  class Ignore final : public FileSink {
    Result<void> Add(AddFile /*file*/) override { return {}; }
    Result<void> Remove(RemoveFile /*file*/) override { return {}; }
    void Restart() override {}
  } sink;
  HR_TRY(const CheckpointHead sound, ReadCheckpoint(files, log, *kept, &sink));
  if (!sound.actions.protocol) return 0;
  // The sync of their names may have failed; nothing else has what is removed.
  for (const std::string& name : kept->names) HR_TRY_VOID(env::PutAgain(files, log + "/" + name));
  return RemoveBefore(environment, log, kept->version);
}

bool IsAsOldAs(const env::FileFacts& facts, base::Timestamp cutoff) {
  return facts.modified_at.us > 0 && facts.modified_at <= cutoff;
}

std::optional<base::Duration> ParseInterval(std::string_view text) {
  struct Unit {
    std::string_view name;
    base::Duration length;
  };
  static constexpr std::array<Unit, 7> kUnits = {{{"microsecond", std::chrono::microseconds(1)},
                                                  {"millisecond", std::chrono::milliseconds(1)},
                                                  {"second", std::chrono::seconds(1)},
                                                  {"minute", std::chrono::minutes(1)},
                                                  {"hour", std::chrono::hours(1)},
                                                  {"day", kDay},
                                                  {"week", 7 * kDay}}};
  const auto word = [&text] {
    while (text.starts_with(' ')) text.remove_prefix(1);
    const std::string_view taken = text.substr(0, text.find(' '));
    text.remove_prefix(taken.size());
    return taken;
  };
  std::string_view number = word();
  if (number == "interval" || number == "INTERVAL") number = word();
  base::Duration sum{0};
  for (; !number.empty(); number = word()) {
    int64_t count = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), count);
    std::string_view name = word();
    if (name.ends_with('s')) name.remove_suffix(1);
    const auto unit = std::ranges::find(kUnits, name, &Unit::name);
    const bool known = error == std::errc() && end == number.data() + number.size() &&
                       unit != kUnits.end() && count >= 0 &&
                       count <= (base::Duration::max() / 8 - sum) / unit->length;
    if (!known) return std::nullopt;
    sum += count * unit->length;
  }
  return sum.count() > 0 ? std::optional(sum) : std::nullopt;
}

}  // namespace headrace::tables::delta
