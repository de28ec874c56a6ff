#include "tables/delta/delta_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <set>
#include <utility>

#include "columns/schema_evolution.h"
#include "tables/delta/log_listing.h"
#include "tables/delta/log_replay.h"
#include "tables/delta/schema_json.h"
#include "tables/delta/support.h"

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

constexpr std::string_view kCommitEnding = ".json";

std::string RandomHex(env::Environment& environment) {
  std::array<uint8_t, 16> bytes;
  environment.Random(bytes);
  return fmt::format("{:02x}", fmt::join(bytes, ""));
}

// 8-4-4-4-12, version 4.
std::string RandomUuid(env::Environment& environment) {
  std::string hex = RandomHex(environment);
  hex[12] = '4';
  hex[16] = '8';
  for (const size_t at : {20, 16, 12, 8}) hex.insert(at, 1, '-');
  return hex;
}

AddFile AddOf(const DataFile& file, const columns::SchemaRef& table, int64_t now_ms) {
  const columns::Schema& schema = file.schema != nullptr ? *file.schema : *table;
  return {.path = file.name,
          .size = file.bytes,
          .modified_ms = now_ms,
          .stats = RenderStats(schema, file.rows, file.stats),
          .rows = file.rows,
          .tags = file.tags,
          .checksum = file.checksum};
}

// What one version brings, and how old it is.
std::vector<std::pair<std::string, std::string>> MetricsOf(std::span<const DataFile> files,
                                                           int64_t now_ms) {
  uint64_t rows = 0;
  uint64_t bytes = 0;
  uint64_t aged_rows = 0;
  double age_ms = 0;
  int64_t oldest_ms = 0;
  for (const DataFile& file : files) {
    rows += file.rows;
    bytes += file.bytes;
    for (const SealedRows& sealed : file.sealed) {
      const int64_t age = std::max<int64_t>(0, now_ms - sealed.at.us / 1000);
      aged_rows += sealed.rows;
      age_ms += static_cast<double>(age) * static_cast<double>(sealed.rows);
      oldest_ms = std::max(oldest_ms, age);
    }
  }
  std::vector<std::pair<std::string, std::string>> metrics = {
      {"numFiles", std::to_string(files.size())},
      {"numOutputRows", std::to_string(rows)},
      {"numOutputBytes", std::to_string(bytes)}};
  if (aged_rows == 0) return metrics;
  metrics.emplace_back(kRowAgeMeanMetric,
                       fmt::format("{:.0f}", age_ms / static_cast<double>(aged_rows)));
  metrics.emplace_back(kRowAgeMaxMetric, std::to_string(oldest_ms));
  return metrics;
}

constexpr std::string_view kOurTags = "headrace.";

bool SameColumns(const columns::Schema& a, const columns::Schema& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    const columns::Field& x = a.field(i);
    const columns::Field& y = b.field(i);
    if (x.name != y.name || x.type != y.type || x.nullable != y.nullable) return false;
  }
  return true;
}

std::string Describe(const columns::Schema& schema) {
  std::string text;
  for (const columns::Field& field : schema.fields()) {
    text +=
        fmt::format("{}{} {}{}", text.empty() ? "" : ", ", field.name, columns::NameOf(field.type),
                    field.nullable == columns::Nullable::kNo ? " not null" : "");
  }
  return text;
}

// Gathers what a reader of a table needs of its files.
class IntoSnapshot final : public FileSink {
 public:
  explicit IntoSnapshot(Snapshot& snapshot) : snapshot_(snapshot) {}
  Result<void> Add(AddFile file) override {
    file.stats.clear();
    file.stats.shrink_to_fit();
    std::erase_if(file.tags, [](const auto& tag) { return !tag.first.starts_with(kOurTags); });
    snapshot_.files.push_back(std::move(file));
    return {};
  }
  Result<void> Remove(RemoveFile file) override {
    snapshot_.removed.push_back(std::move(file.path));
    return {};
  }
  void Restart() override {
    snapshot_.files.clear();
    snapshot_.removed.clear();
  }

 private:
  Snapshot& snapshot_;
};

}  // namespace

// Shared with the upkeep's work, which outlives neither this nor the table.
struct DeltaTable::Counted {
  std::mutex mutex;
  std::optional<CheckpointFigures> newest;
  std::atomic<uint64_t> log_bytes{0};  // written since they were last asked for
};

DeltaTable::DeltaTable(env::Environment& environment, std::string folder, Keep keep)
    : environment_(environment),
      folder_(std::move(folder)),
      keep_(keep),
      counted_(std::make_shared<Counted>()) {}

Result<std::unique_ptr<DeltaTable>> DeltaTable::Open(env::Environment& environment,
                                                     const std::string& folder, Keep keep) {
  std::unique_ptr<DeltaTable> table(new DeltaTable(environment, folder, keep));
  HR_TRY_VOID(table->Load());
  return table;
}

Result<std::unique_ptr<DeltaTable>> DeltaTable::OpenForAppend(
    env::Environment& environment, const std::string& folder, const std::string& name,
    const columns::SchemaRef& schema, UpkeepOptions upkeep,
    std::span<const columns::SchemaRef> earlier, Missing missing) {
  std::unique_ptr<DeltaTable> table(new DeltaTable(environment, folder, Keep::kNoFiles));
  table->upkeep_ = std::move(upkeep);
  auto loaded = table->Load();
  if (!loaded && loaded.error().code() == ErrorCode::kNotFound && missing == Missing::kCreate)
    loaded = table->Create(name, *schema);
  if (!loaded) return Fail(std::move(loaded).error());
  const auto known = std::ranges::find_if(earlier, [&](const columns::SchemaRef& each) {
    return SameColumns(*table->snapshot_.schema, *each);
  });
  table->appended_ = known == earlier.end() ? schema : *known;
  HR_TRY_VOID(table->CheckAppendable(table->snapshot_, *table->appended_));
  HR_TRY_VOID(table->MakeDurable());
  return table;
}

std::string DeltaTable::PathOf(int64_t version) const {
  return folder_ + "/_delta_log/" + VersionedName(version, kCommitEnding);
}

Commit DeltaTable::NewCommit(const char* operation) {
  Commit commit;
  commit.transaction_id = RandomHex(environment_);
  commit.operation = operation;
  commit.parameters = {{"mode", "Append"}, {"partitionBy", "[]"}};
  commit.timestamp_ms = environment_.clock().Wall().us / 1000;
  commit.ours = true;
  return commit;
}

Result<Snapshot> DeltaTable::Read() const {
  Snapshot fresh;
  IntoSnapshot sink(fresh);
  HR_TRY(static_cast<LogState&>(fresh), ReplayLog(environment_.files(), folder_, std::nullopt,
                                                  keep_ == Keep::kFiles ? &sink : nullptr));
  HR_TRY_VOID(Understand(fresh));
  return fresh;
}

void DeltaTable::Adopt(Snapshot fresh) {
  snapshot_ = std::move(fresh);
  if (!sync_failed_ || durable_ >= snapshot_.version) durable_ = snapshot_.version - 1;
  doubted_ = snapshot_.newest_ours;
  // What was counted before leaves out whatever others have done since.
  added_ = {};
  uncounted_ = 0;
  mark_ = {};
  {
    const std::lock_guard lock(counted_->mutex);
    counted_->newest.reset();
  }
  const int64_t every = upkeep_.checkpoint_every;
  next_checkpoint_ = (snapshot_.checkpoint.value_or(0) / every + 1) * every;
  seen_at_ = environment_.clock().Now();
}

Result<void> DeltaTable::Load() {
  HR_TRY(Snapshot fresh, Read());
  Adopt(std::move(fresh));
  return {};
}

// Whether we understand its protocol and metadata; their schema.
Result<void> DeltaTable::Understand(Snapshot& snapshot) const {
  const auto at = [&](base::Error error) {
    return Fail(std::move(error).With("file", PathOf(snapshot.version)));
  };
  if (auto readable = CheckReadable(*snapshot.protocol); !readable)
    return at(std::move(readable).error());
  if (auto plain = CheckPlain(*snapshot.metadata); !plain) return at(std::move(plain).error());
  auto schema = ParseSchema(snapshot.metadata->schema_string);
  if (!schema) return at(std::move(schema).error());
  snapshot.schema = *schema;
  auto first = ParseSchema(snapshot.metadata->schema_string, ColumnTypes::kFirst);
  if (!first) return at(std::move(first).error());
  snapshot.first_schema = *first;
  return {};
}

// A writer that slept may find that the versions after its own were cleaned away: it begins anew
// then, long before it could take the first of them for one that nobody has made.
Result<void> DeltaTable::ReloadIfStale() {
  const env::MonotonicTime age = environment_.clock().Now() - seen_at_;
  if (appended_ == nullptr || age < upkeep_.log_retention_min / 2) return {};
  HR_TRY(Snapshot fresh, Read());
  bool moved = fresh.version < snapshot_.version;
  for (const auto& [application, txn] : snapshot_.transactions) {
    if (!application.starts_with("headrace/")) continue;
    const auto now = fresh.transactions.find(application);
    moved |= now == fresh.transactions.end() || now->second.version != txn.version;
  }
  // A put of our own whose outcome is not known may have moved it.
  if (moved && unsettled_.empty())
    return Fail(base::Error(ErrorCode::kConflict,
                            "while this writer slept its marker in the table was moved")
                    .With("table", folder_)
                    .With("version", std::to_string(fresh.version)));
  const bool evolved = evolving_ != nullptr && SameColumns(*fresh.schema, *evolving_);
  const columns::SchemaRef appended = evolved ? evolving_ : appended_;
  HR_TRY_VOID(CheckAppendable(fresh, *appended));
  if (fresh.version > snapshot_.version) unsettled_.clear();
  Adopt(std::move(fresh));
  appended_ = appended;
  return MakeDurable();
}

Result<void> DeltaTable::Create(const std::string& name, const columns::Schema& schema) {
  HR_TRY_VOID(environment_.files().CreateFolders(folder_ + "/_delta_log"));
  Commit commit = NewCommit("CREATE TABLE");
  commit.protocol = ProtocolFor(schema);
  commit.metadata = Metadata{.id = RandomUuid(environment_),
                             .name = name,
                             .schema_string = RenderSchema(schema),
                             .partition_columns = {},
                             .configuration = {{"delta.appendOnly", "true"}},
                             .created_ms = commit.timestamp_ms};
  next_checkpoint_ = upkeep_.checkpoint_every;
  environment_.CrashPoint("delta.before_create");
  HR_TRY(const Put put, PutCommit(commit));
  environment_.CrashPoint("delta.after_create");
  return put == Put::kDone ? Apply(commit, Whose::kOurs) : Refresh();
}

Result<void> DeltaTable::CheckAppendable(const Snapshot& snapshot,
                                         const columns::Schema& schema) const {
  HR_TRY_VOID(CheckWritable(*snapshot.protocol, *snapshot.metadata));
  if (SameColumns(*snapshot.schema, schema)) return {};
  return Fail(
      base::Error(
          ErrorCode::kConflict,
          fmt::format("the table has other columns than the stream: it has [{}], the stream gives "
                      "[{}]; move the table away, or name another folder",
                      Describe(*snapshot.schema), Describe(schema)))
          .With("table", folder_));
}

std::vector<Marker> DeltaTable::markers() const {
  std::vector<Marker> markers;
  for (const auto& [application, txn] : snapshot_.transactions)
    markers.push_back({application, txn.version});
  return markers;
}

Result<std::optional<Commit>> DeltaTable::ReadNext() {
  auto commit = ReadCommit(environment_.files(), folder_, snapshot_.version + 1);
  if (commit) return std::move(*commit);
  if (commit.error().code() == ErrorCode::kNotFound) return std::nullopt;
  return Fail(std::move(commit).error());
}

// A version that this writer may not follow is not taken over: publisher and rewriter share the
// table, and whichever of them comes by next must meet it, too.
Result<void> DeltaTable::Apply(const Commit& commit, Whose whose) {
  if (commit.protocol || commit.metadata) {
    Snapshot next;
    static_cast<LogState&>(next) = snapshot_;
    next.LogState::Apply(commit);
    HR_TRY_VOID(Understand(next));
    if (whose == Whose::kOthers && appended_ != nullptr)
      HR_TRY_VOID(CheckAppendable(next, *appended_));
    snapshot_.schema = next.schema;
    snapshot_.first_schema = next.first_schema;
  }
  snapshot_.LogState::Apply(commit);
  unsettled_.clear();  // each was of this version, which has its commit
  seen_at_ = environment_.clock().Now();
  if (!commit.ours && !(commit.adds.empty() && commit.removes.empty())) ++uncounted_;
  for (const AddFile& add : commit.adds) {
    ++added_.files;
    added_.bytes += add.size;
  }
  for (const RemoveFile& remove : commit.removes) {  // wraps around: differences count
    --added_.files;
    added_.bytes -= remove.size.value_or(0);
  }
  if (snapshot_.version % upkeep_.checkpoint_every == 0)
    mark_ = {snapshot_.version, added_, uncounted_};
  return {};
}

// The sums that the last checkpoint counted, with the commits of ours after it.
void DeltaTable::TakeSums() {
  const std::lock_guard lock(counted_->mutex);
  if (!counted_->newest || snapshot_.sums) return;
  const CheckpointFigures& counted = *counted_->newest;
  if (counted.version != mark_.version || mark_.uncounted != uncounted_) return;
  snapshot_.sums = FileSums{counted.sums.files + added_.files - mark_.added.files,
                            counted.sums.bytes + added_.bytes - mark_.added.bytes};
}

uint64_t DeltaTable::TakeLogBytes() { return counted_->log_bytes.exchange(0); }

UpkeepTask DeltaTable::TakeUpkeep() {
  TakeSums();
  std::optional<int64_t> due;
  if (snapshot_.version >= next_checkpoint_) {
    due = snapshot_.version - snapshot_.version % upkeep_.checkpoint_every;
    next_checkpoint_ = *due + upkeep_.checkpoint_every;
  }
  const bool checksum = snapshot_.sums && snapshot_.version > checksum_at_;
  if (checksum) checksum_at_ = snapshot_.version;
  if (!due && !checksum) return nullptr;
  return [&environment = environment_, folder = folder_, due, options = upkeep_,
          state = static_cast<const LogState&>(snapshot_), counted = counted_]() -> Result<void> {
    if (due) {
      HR_TRY(const auto made, WriteCheckpoint(environment, folder, *due, options));
      if (made) {
        const std::lock_guard lock(counted->mutex);
        counted->newest = made;
        counted->log_bytes += made->bytes;
      }
      HR_TRY_VOID(CleanUpLog(environment, folder, state, options));
    }
    HR_TRY(const uint64_t written, WriteChecksumFile(environment, folder, state));
    counted->log_bytes += written;
    return {};
  };
}

// What another writer did: still a table that we can append to, and our marker where we left it?
Result<void> DeltaTable::ApplyForeign(const Commit& commit) {
  for (const Transaction& txn : commit.transactions) {
    if (appended_ == nullptr || !txn.application.starts_with("headrace")) continue;
    if (!snapshot_.transactions.contains(txn.application)) continue;
    return Fail(
        base::Error(ErrorCode::kConflict,
                    "another process publishes the same stream of the same log into this table")
            .With("table", folder_)
            .With("version", std::to_string(snapshot_.version + 1)));
  }
  return Apply(commit, Whose::kOthers);
}

// What is decided from commits that were read here may outlive a power cut, and then they must as
// well: whoever made them may have died between the link and the folder's sync. Once that failed,
// only names that are made anew are durable.
Result<void> DeltaTable::MakeDurable() {
  env::Files& files = environment_.files();
  if (doubted_) HR_TRY_VOID(env::PutAgain(files, PathOf(*doubted_)));
  doubted_.reset();
  if (durable_ == snapshot_.version) return {};
  if (sync_failed_) {
    for (; durable_ < snapshot_.version; ++durable_)
      HR_TRY_VOID(env::PutAgain(files, PathOf(durable_ + 1)));
  } else {
    sync_failed_ = true;
    HR_TRY_VOID(files.SyncFolder(folder_ + "/_delta_log"));
  }
  durable_ = snapshot_.version;
  sync_failed_ = false;
  return {};
}

Result<void> DeltaTable::Refresh() {
  HR_TRY_VOID(ReloadIfStale());
  while (true) {
    HR_TRY(std::optional<Commit> next, ReadNext());
    if (!next) {
      seen_at_ = environment_.clock().Now();
      return appended_ != nullptr ? MakeDurable() : Result<void>();
    }
    // A put that failed may have made this version all the same.
    const bool ours = appended_ == nullptr ||
                      std::ranges::find(unsettled_, next->transaction_id) != unsettled_.end();
    if (ours && appended_ != nullptr)
      HR_TRY_VOID(env::PutAgain(environment_.files(), PathOf(snapshot_.version + 1)));
    HR_TRY_VOID(ours ? Apply(*next, Whose::kOurs) : ApplyForeign(*next));
    if (ours && appended_ != nullptr && next->metadata) appended_ = evolving_;
  }
}

// Put-if-absent of the next version. An outcome that is not known is settled by reading the file
// back.
Result<DeltaTable::Put> DeltaTable::PutCommit(const Commit& commit) {
  if (appended_ != nullptr) HR_TRY_VOID(MakeDurable());
  const std::string text = RenderCommit(commit);
  const std::span bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  const std::string path = PathOf(snapshot_.version + 1);
  auto put = env::PutIfAbsent(environment_.files(), path, bytes);
  if (put) {
    counted_->log_bytes += text.size();
    durable_ = snapshot_.version + 1;
    return Put::kDone;
  }
  if (unsettled_.size() == kUnsettledMax) unsettled_.erase(unsettled_.begin());
  unsettled_.push_back(commit.transaction_id);
  auto there = ReadNext();
  if (!there) return Fail(std::move(there).error());  // who has the version is not known yet
  if (!*there) return Fail(std::move(put).error());
  if ((*there)->transaction_id != commit.transaction_id) return Put::kTaken;
  HR_TRY_VOID(env::PutAtomically(environment_.files(), path, bytes));
  durable_ = snapshot_.version + 1;
  return Put::kDone;
}

Result<void> DeltaTable::Append(std::span<const DataFile> files, const Marker& marker) {
  HR_CHECK(appended_ != nullptr, "a Delta table that was opened for reading");
  HR_TRY_VOID(ReloadIfStale());
  Commit commit = NewCommit("WRITE");
  commit.transactions.push_back({marker.application, marker.version, commit.timestamp_ms});
  for (const DataFile& file : files)
    commit.adds.push_back(AddOf(file, appended_, commit.timestamp_ms));
  commit.metrics = MetricsOf(files, commit.timestamp_ms);
  const columns::SchemaRef wanted = files.empty() ? nullptr : files.front().schema;
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    HR_TRY_VOID(EvolveTo(wanted, commit));
    environment_.CrashPoint("delta.before_put");
    if (commit.metadata) environment_.CrashPoint("delta.before_evolving");
    HR_TRY(const Put put, PutCommit(commit));
    if (commit.metadata) environment_.CrashPoint("delta.after_evolving");
    environment_.CrashPoint("delta.after_put");
    if (put == Put::kDone) {
      HR_TRY_VOID(Apply(commit, Whose::kOurs));
      if (commit.metadata) appended_ = evolving_;
      return {};
    }
    HR_TRY_VOID(Refresh());
    environment_.CrashPoint("delta.after_refresh");
  }
  return Fail(
      base::Error(ErrorCode::kConflict,
                  fmt::format("other writers committed first, {} times in a row", kAttemptsMax))
          .With("table", folder_));
}

// Anew for each try: somebody may have set properties meanwhile.
Result<void> DeltaTable::EvolveTo(const columns::SchemaRef& wanted, Commit& commit) {
  commit.metadata.reset();
  commit.protocol.reset();
  if (wanted == nullptr || SameColumns(*snapshot_.schema, *wanted)) return {};
  const auto evolution = columns::EvolutionOf(*snapshot_.schema, *wanted);
  if (!evolution.possible()) {
    // Files of an earlier schema than the table's lack what may be null.
    if (columns::EvolutionOf(*wanted, *snapshot_.schema).possible()) return {};
    return Fail(base::Error(ErrorCode::kConflict,
                            fmt::format("the table's columns can't become those of the stream: {}",
                                        fmt::join(evolution.refused, "; ")))
                    .With("table", folder_));
  }
  evolving_ = wanted;
  commit.metadata = snapshot_.metadata;
  HR_TRY(commit.metadata->schema_string, RenderEvolved(snapshot_.metadata->schema_string, *wanted));
  Protocol needed = WithFeaturesFor(*wanted, *snapshot_.protocol);
  if (!evolution.widened.empty()) {
    needed = WithTypeWidening(needed);
    commit.metadata->configuration["delta.enableTypeWidening"] = "true";
  }
  if (needed.reader_features != snapshot_.protocol->reader_features) commit.protocol = needed;
  return {};
}

Result<bool> DeltaTable::TookAway(std::span<const OldFile> files, int64_t after,
                                  int64_t last) const {
  std::set<std::string_view> names;
  for (const OldFile& file : files) names.insert(file.name);
  for (int64_t version = after + 1; version <= last; ++version) {
    auto commit = ReadCommit(environment_.files(), folder_, version);
    if (!commit && commit.error().code() == ErrorCode::kNotFound)
      return Fail(base::Error(ErrorCode::kUnavailable,
                              "commits were cleaned away while table files were rewritten: retry")
                      .With("version", std::to_string(version)));
    if (!commit) return Fail(std::move(commit).error());
    // A logical file is path and deletion vector, and those that are rewritten have none: who
    // deletes rows of one removes it without one, and adds it with one.
    for (const RemoveFile& remove : commit->removes)
      if (!remove.deletion_vector && names.contains(remove.path)) return true;
  }
  return false;
}

Commit DeltaTable::CommitOf(const Replacement& replacement) {
  Commit commit = NewCommit("OPTIMIZE");
  commit.parameters = replacement.parameters;
  const Marker& marker = replacement.marker;
  commit.transactions.push_back({marker.application, marker.version, commit.timestamp_ms});
  for (const OldFile& file : replacement.taken)
    commit.removes.push_back({.path = file.name,
                              .deleted_ms = commit.timestamp_ms,
                              .data_change = false,
                              .extended = true,
                              .size = file.bytes});
  for (const DataFile& file : replacement.put) {
    commit.adds.push_back(AddOf(file, appended_, commit.timestamp_ms));
    commit.adds.back().data_change = false;
  }
  return commit;
}

Result<Replaced> DeltaTable::Replace(const Replacement& replacement) {
  HR_CHECK(appended_ != nullptr, "a Delta table that was opened for reading");
  HR_TRY_VOID(ReloadIfStale());
  HR_CHECK(replacement.checked_version >= 0, "files that nobody has looked for");
  Commit commit = CommitOf(replacement);
  const columns::SchemaRef wanted =
      replacement.put.empty() ? nullptr : replacement.put.front().schema;
  // Others may have been there already without this writer having seen them.
  int64_t checked = replacement.checked_version;
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    HR_TRY(const bool gone, TookAway(replacement.taken, checked, snapshot_.version));
    if (gone) return Replaced::kGone;
    checked = std::max(checked, snapshot_.version);
    HR_TRY_VOID(EvolveTo(wanted, commit));
    environment_.CrashPoint("delta.before_replace");
    HR_TRY(const Put put, PutCommit(commit));
    environment_.CrashPoint("delta.after_replace");
    if (put == Put::kDone) {
      HR_TRY_VOID(Apply(commit, Whose::kOurs));
      if (commit.metadata) appended_ = evolving_;
      return Replaced::kDone;
    }
    HR_TRY_VOID(Refresh());
  }
  return Fail(
      base::Error(ErrorCode::kUnavailable,
                  fmt::format("other writers committed first, {} times in a row", kAttemptsMax))
          .With("table", folder_));
}

}  // namespace headrace::tables::delta
