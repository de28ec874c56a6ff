#include "tables/delta/log_replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/log.h"
#include "tables/delta/checkpoint_reader.h"
#include "tables/delta/log_listing.h"
#include "tables/delta/table_path.h"

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

// What the commits after the checkpoint did to its files.
class Tail {
 public:
  void Take(Commit& commit) {
    // Within a commit the order of actions means nothing: a removal is of what was there before.
    for (RemoveFile& remove : commit.removes) {
      std::string key = KeyOf(remove.path, remove.deletion_vector);
      if (const auto added = added_.find(key); added != added_.end()) {
        adds_[added->second].reset();
        added_.erase(added);
      }
      removed_[key] = removes_.size();
      touched_.insert(std::move(key));
      removes_.emplace_back(std::move(remove));
    }
    for (AddFile& add : commit.adds) {
      std::string key = KeyOf(add.path, add.deletion_vector);
      if (const auto removed = removed_.find(key); removed != removed_.end()) {
        removes_[removed->second].reset();
        removed_.erase(removed);
      }
      const auto [added, fresh] = added_.try_emplace(key, adds_.size());
      touched_.insert(std::move(key));
      if (!fresh) {  // told once more, with other statistics or tags
        adds_[added->second] = std::move(add);
      } else {
        adds_.emplace_back(std::move(add));
      }
    }
  }
  // The checkpoint's word on this file no longer counts.
  bool Touched(const std::string& key) const { return touched_.contains(key); }

  Result<void> HandOver(FileSink& sink) {
    for (std::optional<AddFile>& add : adds_)
      if (add) HR_TRY_VOID(sink.Add(std::move(*add)));
    for (std::optional<RemoveFile>& remove : removes_)
      if (remove) HR_TRY_VOID(sink.Remove(std::move(*remove)));
    return {};
  }

 private:
  std::vector<std::optional<AddFile>> adds_;
  std::vector<std::optional<RemoveFile>> removes_;
  std::unordered_map<std::string, size_t> added_;    // key -> index into adds_
  std::unordered_map<std::string, size_t> removed_;  // key -> index into removes_
  std::unordered_set<std::string> touched_;
};

// Lets through what the tail left of the checkpoint's files.
class LeftByTail final : public FileSink {
 public:
  LeftByTail(const Tail& tail, FileSink& sink) : tail_(tail), sink_(sink) {}
  Result<void> Add(AddFile file) override {
    if (tail_.Touched(KeyOf(file.path, file.deletion_vector))) return {};
    return sink_.Add(std::move(file));
  }
  Result<void> Remove(RemoveFile file) override {
    if (tail_.Touched(KeyOf(file.path, file.deletion_vector))) return {};
    return sink_.Remove(std::move(file));
  }
  void Restart() override { sink_.Restart(); }

 private:
  const Tail& tail_;
  FileSink& sink_;
};

Result<std::vector<uint8_t>> ReadFile(env::Files& files, const std::string& log,
                                      const std::string& name) {
  HR_TRY(const std::string path, PathInLog(files, log, name));
  return files.ReadAll(path);
}

Result<Commit> ReadActions(env::Files& files, const std::string& log, const std::string& name) {
  HR_TRY(const std::vector<uint8_t> bytes, ReadFile(files, log, name));
  auto commit = ParseCommit(bytes);
  if (!commit) return Fail(std::move(commit).error().With("file", log + "/" + name));
  return commit;
}

class Replay {
 public:
  Replay(env::Files& files, const std::string& folder, FileSink* sink, Compacted compacted)
      : files_(files),
        folder_(folder),
        log_(folder + "/_delta_log"),
        sink_(sink),
        compacted_(compacted) {}

  Result<LogState> Run(std::optional<int64_t> wanted) {
    HR_TRY(listing_, ListLog(files_, log_));
    if (compacted_ == Compacted::kPassOver) listing_.compacted.clear();
    HR_TRY(const int64_t version, Choose(wanted));
    for (auto base = listing_.checkpoints.rbegin(); base != listing_.checkpoints.rend(); ++base) {
      if (base->version > version) continue;
      auto state = From(&*base, version);
      if (state || !damaged_) return state;
      base::LogWarning("tables.checkpoint_damaged",
                       {{"folder", log_}, {"error", state.error().ToString()}});
      reason_ = state.error().ToString();
      if (sink_ != nullptr) sink_->Restart();
    }
    const bool begins =
        listing_.commits.front() == 0 || CompactedFrom(listing_, 0, version) != nullptr;
    if (begins) return From(nullptr, version);
    if (!reason_.empty())
      return Fail(ErrorCode::kCorruption,
                  fmt::format("no checkpoint is sound ({}), and the commits before it were cleaned "
                              "away: restore one of them from a copy",
                              reason_));
    return Fail(ErrorCode::kCorruption,
                fmt::format("the log has neither commit 0 nor a checkpoint up to version {}: what "
                            "came before version {} was cleaned away",
                            version, listing_.commits.front()));
  }

 private:
  Result<int64_t> Choose(std::optional<int64_t> wanted) const {
    const auto newest = listing_.newest();
    if (!newest && listing_.had_table)
      return Fail(ErrorCode::kCorruption,
                  "there was a Delta table here, and its log has no commit any more: restore them "
                  "from a copy");
    if (!newest) return Fail(ErrorCode::kNotFound, "no Delta table here: its log has no commit");
    if (!wanted) return *newest;
    if (*wanted <= *newest && *wanted >= 0) return *wanted;
    return Fail(ErrorCode::kNotFound,
                fmt::format("no version {}: the newest is {}", *wanted, *newest));
  }

  // Errors that another checkpoint may be free of set damaged_.
  Result<LogState> From(const CheckpointFiles* base, int64_t version) {
    damaged_ = false;
    LogState state;
    if (base != nullptr) state.version = base->version;
    Tail tail;
    std::vector<Head> heads;
    for (int64_t next = state.version + 1; next <= version; next = heads.back().last + 1) {
      HR_TRY(Stretch stretch, ReadStretch(next, version));
      heads.push_back({HeadOf(stretch.actions), stretch.last});
      if (sink_ != nullptr) tail.Take(stretch.actions);
    }
    if (base != nullptr) HR_TRY_VOID(ReadBase(*base, tail, state));
    for (const Head& head : heads) {
      state.Apply(head.actions);
      state.version = head.last;
    }
    if (sink_ != nullptr) HR_TRY_VOID(tail.HandOver(*sink_));
    if (state.protocol && state.metadata) return state;
    return Fail(ErrorCode::kCorruption, "the log has no metaData or no protocol");
  }

  // One commit, or what stands for it and those after it up to `last`.
  struct Stretch {
    Commit actions;
    int64_t last = 0;
  };
  using Head = Stretch;

  Result<Stretch> ReadStretch(int64_t first, int64_t version) {
    while (const CompactedFile* file = CompactedFrom(listing_, first, version)) {
      auto actions = ReadCompacted(file->name);
      if (actions) return Stretch{std::move(*actions), file->last};
      base::LogWarning("tables.compaction_passed_over",
                       {{"folder", log_}, {"error", actions.error().ToString()}});
      listing_.compacted.erase(listing_.compacted.begin() + (file - listing_.compacted.data()));
    }
    HR_TRY_VOID(CheckContiguous(listing_, first - 1, first));
    auto commit = ReadCommit(files_, folder_, first);
    if (commit) return Stretch{std::move(*commit), first};
    if (commit.error().code() != ErrorCode::kNotFound) return Fail(std::move(commit).error());
    return Fail(base::Error(ErrorCode::kUnavailable,
                            fmt::format("commit {} went while the log was read: retry", first))
                    .With("file", log_ + "/" + VersionedName(first, ".json")));
  }

  // An empty one says as little as one that was never written to its end.
  Result<Commit> ReadCompacted(const std::string& name) {
    HR_TRY(Commit actions, ReadActions(files_, log_, name));
    const bool says = !actions.adds.empty() || !actions.removes.empty() ||
                      !actions.transactions.empty() || actions.metadata || actions.protocol;
    if (says) return actions;
    return Fail(
        base::Error(ErrorCode::kCorruption, "it holds no action").With("file", log_ + "/" + name));
  }

  // What LogState::Apply looks at.
  static Commit HeadOf(const Commit& commit) {
    Commit head;
    head.protocol = commit.protocol;
    head.metadata = commit.metadata;
    head.transactions = commit.transactions;
    head.domains = commit.domains;
    head.ours = commit.ours;
    for (const AddFile& add : commit.adds) head.adds.push_back({.path = {}, .size = add.size});
    for (const RemoveFile& remove : commit.removes)
      head.removes.push_back({.path = {}, .size = remove.size});
    return head;
  }

  Result<void> ReadBase(const CheckpointFiles& base, const Tail& tail, LogState& state) {
    std::optional<LeftByTail> left;
    if (sink_ != nullptr) left.emplace(tail, *sink_);
    auto head = ReadCheckpoint(files_, log_, base, left ? &*left : nullptr);
    if (!head) {
      damaged_ = head.error().code() == ErrorCode::kCorruption;
      return Fail(std::move(head).error());
    }
    state.protocol = std::move(head->actions.protocol);
    state.metadata = std::move(head->actions.metadata);
    for (Transaction& txn : head->actions.transactions) {
      std::string application = txn.application;
      state.transactions[std::move(application)] = std::move(txn);
    }
    state.domains.insert(head->actions.domains.begin(), head->actions.domains.end());
    state.sums = head->sums;
    state.checkpoint = base.version;
    state.removals_known = head->removals_known;
    state.forgotten_ms = head->forgotten_ms;
    return {};
  }

  env::Files& files_;
  const std::string folder_;
  const std::string log_;
  FileSink* sink_;
  const Compacted compacted_;
  LogListing listing_;
  bool damaged_ = false;
  std::string reason_;  // why the last checkpoint was passed over
};

}  // namespace

Result<LogState> ReplayLog(env::Files& files, const std::string& folder,
                           std::optional<int64_t> version, FileSink* sink, Compacted compacted) {
  auto state = Replay(files, folder, sink, compacted).Run(version);
  if (!state) return Fail(std::move(state).error().With("table", folder));
  return state;
}

Result<Commit> ReadCommit(env::Files& files, const std::string& folder, int64_t version) {
  const std::string log = folder + "/_delta_log";
  const std::string name = VersionedName(version, ".json");
  HR_TRY(const std::vector<uint8_t> bytes, ReadFile(files, log, name));
  auto commit = ParseCommit(bytes);
  if (commit) return commit;
  if (!MayBeCut(bytes)) return Fail(std::move(commit).error().With("file", log + "/" + name));
  // Nobody begins a version before the one that it comes after is whole, so what was cut when it
  // was read is whole by now.
  HR_TRY(const bool later, files.Exists(log + "/" + VersionedName(version + 1, ".json")));
  if (later) return ReadActions(files, log, name);
  return Fail(base::Error(ErrorCode::kUnavailable,
                          fmt::format("commit {} is not written to its end: if its writer has "
                                      "died, move the file away",
                                      version))
                  .With("file", log + "/" + name));
}

}  // namespace headrace::tables::delta
