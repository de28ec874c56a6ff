#include "tables/delta/delta_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "tables/delta/schema_json.h"
#include "tables/delta/support.h"

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

constexpr size_t kVersionDigits = 20;
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

std::optional<int64_t> VersionOf(std::string_view name) {
  if (name.size() != kVersionDigits + kCommitEnding.size() || !name.ends_with(kCommitEnding))
    return std::nullopt;
  int64_t version = 0;
  for (const char c : name.substr(0, kVersionDigits)) {
    if (c < '0' || c > '9') return std::nullopt;
    version = version * 10 + (c - '0');
  }
  return version;
}

// Version 0 must be there and none may be missing.
Result<void> CheckContiguous(const std::vector<std::string>& names) {
  int64_t next = 0;
  for (const std::string& name : names) {
    const auto version = VersionOf(name);
    if (!version) continue;
    if (next == 0 && *version > 0) {
      return Fail(
          ErrorCode::kUnsupported,
          fmt::format(
              "the log begins at version {}: its first commits were cleaned away, and this version "
              "does not read checkpoints",
              *version));
    }
    if (*version != next)
      return Fail(ErrorCode::kCorruption, fmt::format("commit {} is missing", next));
    ++next;
  }
  if (next == 0) return Fail(ErrorCode::kNotFound, "no Delta table here: its log has no commit");
  return {};
}

AddFile AddOf(const DataFile& file, const columns::Schema& schema, int64_t now_ms) {
  return {.path = file.name,
          .size = file.bytes,
          .modified_ms = now_ms,
          .stats = RenderStats(schema, file.rows, file.stats),
          .rows = file.rows,
          .masked = false,
          .checksum = file.checksum};
}

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

}  // namespace

DeltaTable::DeltaTable(env::Environment& environment, std::string folder, Keep keep)
    : environment_(environment), folder_(std::move(folder)), keep_(keep) {}

Result<std::unique_ptr<DeltaTable>> DeltaTable::Open(env::Environment& environment,
                                                     const std::string& folder, Keep keep) {
  std::unique_ptr<DeltaTable> table(new DeltaTable(environment, folder, keep));
  HR_TRY_VOID(table->Load());
  return table;
}

Result<std::unique_ptr<DeltaTable>> DeltaTable::OpenForAppend(env::Environment& environment,
                                                              const std::string& folder,
                                                              const std::string& name,
                                                              const columns::SchemaRef& schema) {
  std::unique_ptr<DeltaTable> table(new DeltaTable(environment, folder, Keep::kNoFiles));
  auto loaded = table->Load();
  if (!loaded && loaded.error().code() == ErrorCode::kNotFound)
    loaded = table->Create(name, *schema);
  if (!loaded) return Fail(std::move(loaded).error());
  HR_TRY_VOID(table->CheckAppendable(*schema));
  table->appended_ = schema;
  HR_TRY_VOID(table->SyncCommits());
  return table;
}

std::string DeltaTable::PathOf(int64_t version) const {
  return fmt::format("{}/_delta_log/{:020}{}", folder_, version, kCommitEnding);
}

Commit DeltaTable::NewCommit(const char* operation) {
  Commit commit;
  commit.transaction_id = RandomHex(environment_);
  commit.operation = operation;
  commit.timestamp_ms = environment_.clock().Wall().us / 1000;
  return commit;
}

Result<void> DeltaTable::Load() {
  const std::string log = folder_ + "/_delta_log";
  auto names = environment_.files().List(log);
  if (!names) return Fail(std::move(names).error().With("table", folder_));
  if (auto whole = CheckContiguous(*names); !whole)
    return Fail(std::move(whole).error().With("file", log));
  HR_TRY_VOID(Refresh());
  if (snapshot_.schema == nullptr || snapshot_.metadata.id.empty()) {
    return Fail(base::Error(ErrorCode::kCorruption, "version 0 has no metaData or no protocol")
                    .With("file", PathOf(0)));
  }
  return {};
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
  environment_.CrashPoint("delta.before_create");
  HR_TRY(const Put put, PutCommit(commit));
  environment_.CrashPoint("delta.after_create");
  return put == Put::kDone ? Apply(std::move(commit)) : Refresh();
}

Result<void> DeltaTable::CheckAppendable(const columns::Schema& schema) const {
  HR_TRY_VOID(CheckWritable(snapshot_.protocol, snapshot_.metadata));
  if (SameColumns(*snapshot_.schema, schema)) return {};
  return Fail(
      base::Error(
          ErrorCode::kConflict,
          fmt::format("the table has other columns than the stream: it has [{}], the stream gives "
                      "[{}]; move the table away, or name another folder",
                      Describe(*snapshot_.schema), Describe(schema)))
          .With("table", folder_));
}

std::vector<Marker> DeltaTable::markers() const {
  std::vector<Marker> markers;
  for (const auto& [application, version] : snapshot_.transactions)
    markers.push_back({application, version});
  return markers;
}

Result<std::optional<Commit>> DeltaTable::ReadNext() {
  const std::string path = PathOf(snapshot_.version + 1);
  auto bytes = environment_.files().ReadAll(path);
  if (!bytes && bytes.error().code() == ErrorCode::kNotFound) return std::nullopt;
  if (!bytes) return Fail(std::move(bytes).error());
  auto commit = ParseCommit(*bytes);
  if (!commit) return Fail(std::move(commit).error().With("file", path));
  return std::move(*commit);
}

Result<void> DeltaTable::Apply(Commit commit) {
  const std::string path = PathOf(snapshot_.version + 1);
  const auto at = [&](base::Error error) { return Fail(std::move(error).With("file", path)); };
  if (commit.protocol) {
    if (auto readable = CheckReadable(*commit.protocol); !readable)
      return at(std::move(readable).error());
    snapshot_.protocol = *commit.protocol;
  }
  if (commit.metadata) {
    if (auto plain = CheckPlain(*commit.metadata); !plain) return at(std::move(plain).error());
    auto schema = ParseSchema(commit.metadata->schema_string);
    if (!schema) return at(std::move(schema).error());
    snapshot_.schema = *schema;
    snapshot_.metadata = std::move(*commit.metadata);
  }
  for (const Transaction& txn : commit.transactions)
    snapshot_.transactions[txn.application] = txn.version;
  if (keep_ == Keep::kFiles) {
    const std::set<std::string_view> removed(commit.removes.begin(), commit.removes.end());
    if (!removed.empty())
      std::erase_if(snapshot_.files,
                    [&](const AddFile& file) { return removed.contains(file.path); });
    for (AddFile& add : commit.adds) snapshot_.files.push_back(std::move(add));
    snapshot_.removed.insert(snapshot_.removed.end(), commit.removes.begin(), commit.removes.end());
  }
  ++snapshot_.version;
  return {};
}

// What another writer did: still a table that we can append to, and our marker where we left it?
Result<void> DeltaTable::ApplyForeign(Commit commit) {
  for (const Transaction& txn : commit.transactions) {
    if (appended_ == nullptr || !txn.application.starts_with("headrace/")) continue;
    if (!snapshot_.transactions.contains(txn.application)) continue;
    return Fail(
        base::Error(ErrorCode::kConflict,
                    "another process publishes the same stream of the same log into this table")
            .With("table", folder_)
            .With("version", std::to_string(snapshot_.version + 1)));
  }
  const bool changed = commit.protocol || commit.metadata;
  HR_TRY_VOID(Apply(std::move(commit)));
  if (changed && appended_ != nullptr) HR_TRY_VOID(CheckAppendable(*appended_));
  return {};
}

// What is decided from commits that were read here may outlive a power cut, and then they must as
// well: whoever made them may have died between the link and the folder's sync.
Result<void> DeltaTable::SyncCommits() {
  return environment_.files().SyncFolder(folder_ + "/_delta_log");
}

Result<void> DeltaTable::Refresh() {
  for (const int64_t before = snapshot_.version;;) {
    HR_TRY(std::optional<Commit> next, ReadNext());
    if (!next && appended_ != nullptr && snapshot_.version > before) return SyncCommits();
    if (!next) return {};
    // A put that failed may have made this version all the same.
    const bool ours =
        appended_ == nullptr || (!unsettled_.empty() && next->transaction_id == unsettled_);
    HR_TRY_VOID(ours ? Apply(std::move(*next)) : ApplyForeign(std::move(*next)));
  }
}

// Put-if-absent of the next version. An outcome that is not known is settled by reading the file
// back.
Result<DeltaTable::Put> DeltaTable::PutCommit(const Commit& commit) {
  const std::string text = RenderCommit(commit);
  const std::span bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  auto put = env::PutIfAbsent(environment_.files(), PathOf(snapshot_.version + 1), bytes);
  if (put) return Put::kDone;
  unsettled_ = commit.transaction_id;
  auto there = ReadNext();
  if (!there) return Fail(std::move(there).error());  // who has the version is not known yet
  if (!*there) return Fail(std::move(put).error());
  if ((*there)->transaction_id != commit.transaction_id) return Put::kTaken;
  HR_TRY_VOID(SyncCommits());
  return Put::kDone;
}

Result<void> DeltaTable::Append(std::span<const DataFile> files, const Marker& marker) {
  HR_CHECK(appended_ != nullptr, "a Delta table that was opened for reading");
  Commit commit = NewCommit("WRITE");
  commit.transactions.push_back({marker.application, marker.version});
  for (const DataFile& file : files)
    commit.adds.push_back(AddOf(file, *appended_, commit.timestamp_ms));
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    environment_.CrashPoint("delta.before_put");
    HR_TRY(const Put put, PutCommit(commit));
    environment_.CrashPoint("delta.after_put");
    if (put == Put::kDone) return Apply(std::move(commit));
    HR_TRY_VOID(Refresh());
    environment_.CrashPoint("delta.after_refresh");
  }
  return Fail(
      base::Error(ErrorCode::kConflict,
                  fmt::format("other writers committed first, {} times in a row", kAttemptsMax))
          .With("table", folder_));
}

}  // namespace headrace::tables::delta
