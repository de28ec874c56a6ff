#include "log/retention.h"

#include <algorithm>

#include <fmt/core.h>

#include "base/log.h"
#include "log/epoch_codec.h"
#include "log/segment_cursor.h"

namespace headrace::log {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

constexpr env::MonotonicTime kRetryAfter = std::chrono::seconds(1);
// A residue smaller than this part of a segment takes the next one in: few files, and at most so
// much is written again.
constexpr uint64_t kSmallShare = 16;

// The first epoch whose refused rows are held.
base::EpochId RefusedFrom(const std::vector<ResidueFile>& residues) {
  base::EpochId from{1};
  for (const ResidueFile& residue : residues)
    if (residue.head.holds == ResidueHead::Holds::kDefinitions) from = residue.head.last.Next();
  return from;
}

// Those of a damaged file, too, when rows behind it were forgotten.
uint64_t ForgottenRows(const std::vector<ResidueFile>& residues) {
  const base::EpochId from = RefusedFrom(residues);
  uint64_t rows = 0;
  for (const ResidueFile& residue : residues) {
    rows += residue.head.forgotten;
    if (residue.head.last < from) rows += residue.head.refused;
  }
  return rows;
}

}  // namespace

Retention::Retention(env::Environment& environment, std::string folder, base::LogId log,
                     const LogOptions& options, env::Executor& reply_to,
                     std::function<void(uint64_t)> on_changed)
    : environment_(environment),
      folder_(std::move(folder)),
      log_(log),
      options_(options),
      reply_to_(reply_to),
      on_changed_(std::move(on_changed)),
      background_(environment.NewExecutor("log-retention", env::Priority::kBackground)) {}

void Retention::Stop() {
  stopping_ = true;
  background_.reset();
}

void Retention::Open(LogTail& tail) {
  segments_.assign(tail.segments.begin(), tail.segments.end());
  residues_ = std::move(tail.residues);
  residue_bytes_ = ResidueBytes();
  refused_forgotten_ = ForgottenRows(residues_);
  refused_from_ = RefusedFrom(residues_);
}

void Retention::BeginSegment(base::EpochId first, std::string path) {
  if (!segments_.empty() && segments_.back().first == first) return;  // its first write failed
  if (!segments_.empty()) segments_.back().last = {first.value - 1};
  segments_.push_back({first, {first.value - 1}, std::move(path), 0});
  Next();
}

void Retention::Grow(uint64_t bytes) { segments_.back().bytes += bytes; }

void Retention::Retain(base::EpochId from, base::Timestamp now) {
  from_ = std::max(from_, from);
  now_ = std::max(now_, now);
  trim_wanted_ = true;
  Next();
}

base::EpochId Retention::Hold() {
  held_ = true;
  return segments_.empty() ? base::EpochId{1} : segments_[removing_ ? 1 : 0].first;
}

void Retention::LetGo() {
  held_ = false;
  Next();
}

Retention::Figures Retention::figures() const {
  return {segments_.empty() ? base::EpochId{1} : segments_.front().first,
          segments_.size(),
          residue_bytes_,
          refused_forgotten_,
          refused_from_,
          error_};
}

void Retention::Next() {
  if (working_ || !background_) return;
  std::optional<SegmentExtent> segment;
  if (!held_ && segments_.size() > 1 && segments_[1].first <= from_) segment = segments_.front();
  if (!segment && !trim_wanted_) return;
  trim_wanted_ = false;
  working_ = true;
  removing_ = segment.has_value();
  background_->Post([this, segment, now = now_] {
    reply_to_.Post([this, outcome = Step(segment, now)]() mutable { Take(std::move(outcome)); });
  });
}

void Retention::Take(Outcome outcome) {
  working_ = false;
  removing_ = false;
  residue_bytes_ = outcome.residue_bytes;
  refused_forgotten_ = outcome.refused_forgotten;
  refused_from_ = outcome.refused_from;
  error_ = outcome.result ? std::move(outcome.damage) : outcome.result.error().ToString();
  uint64_t freed = 0;
  if (outcome.segment_went) {
    freed = segments_.front().bytes;
    segments_.pop_front();
  }
  on_changed_(freed);
  if (outcome.result) {
    failed_ = false;
    return Next();
  }
  if (outcome.result.error().code() == ErrorCode::kUnavailable) return;  // stopping
  if (!std::exchange(failed_, true))
    base::LogWarning("log.retention_failed",
                     {{"folder", folder_}, {"error", outcome.result.error().ToString()}});
  // Damage does not go away: the next Retain looks again.
  if (outcome.result.error().code() == ErrorCode::kCorruption) {
    if (outcome.segment_went) Next();
    return;
  }
  reply_to_.PostAt(environment_.clock().Now() + kRetryAfter, [this] { Next(); });
}

Retention::Outcome Retention::Step(const std::optional<SegmentExtent>& segment,
                                   base::Timestamp now) {
  TakeReserve();
  const auto work = [&](bool& segment_went) -> Result<void> {
    if (segment) {
      // A residue that was put before a later part failed need not be put again.
      if (residues_.empty() || residues_.back().head.last < segment->last)
        HR_TRY_VOID(PutResidue(*segment));
      HR_TRY_VOID(RemoveSegment(*segment));
      segment_went = true;
      TakeReserve();
    }
    return Trim(now);
  };
  Outcome outcome;
  outcome.result = work(outcome.segment_went);
  outcome.residue_bytes = ResidueBytes();
  outcome.refused_forgotten = ForgottenRows(residues_);
  outcome.refused_from = RefusedFrom(residues_);
  outcome.damage = damage_;
  return outcome;
}

Result<void> Retention::PutResidue(const SegmentExtent& segment) {
  environment_.CrashPoint("retain.before_residue");
  ResidueWriter writer(log_);
  HR_TRY(const bool takes_in, TakeInSmall(writer));
  HR_TRY_VOID(AddSegment(segment, writer));
  HR_TRY_VOID(Put(writer, residues_.size() - (takes_in ? 1 : 0), residues_.size()));
  environment_.CrashPoint("retain.after_residue");
  return {};
}

// Whether the last residue is in `writer` now.
Result<bool> Retention::TakeInSmall(ResidueWriter& writer) {
  if (residues_.empty() || residues_.back().head.holds != ResidueHead::Holds::kAll ||
      residues_.back().bytes >= options_.segment_bytes / kSmallShare || IsDamaged(residues_.back()))
    return false;
  const ResidueFile& last = residues_.back();
  ResidueWriter taken(log_);
  const auto added = taken.AddAll(environment_.files(), last);
  if (!added && added.error().code() != ErrorCode::kCorruption) return Fail(added.error());
  if (added) {
    writer = std::move(taken);
    return true;
  }
  NoteDamage(last, added.error());
  return false;
}

void Retention::NoteDamage(const ResidueFile& residue, const base::Error& error) {
  damaged_.insert(residue.path);
  damage_ = fmt::format("refused rows and control entries of epochs {} to {} can't be read: {}",
                        residue.head.first.value, residue.head.last.value, error.ToString());
  base::LogWarning("log.residue_damaged", {{"file", residue.path}, {"error", damage_}});
}

Result<void> Retention::AddSegment(const SegmentExtent& segment, ResidueWriter& writer) {
  HR_TRY(SegmentCursor cursor, SegmentCursor::Open(environment_.files(), segment.path, log_));
  const auto damaged = [&](const std::string& what) {
    return Fail(base::Error(ErrorCode::kCorruption, what)
                    .With("file", segment.path)
                    .With("offset", std::to_string(cursor.offset())));
  };
  Catalogue catalogue;
  for (base::EpochId next = segment.first; next <= segment.last; next = next.Next()) {
    if (stopping_) return Fail(ErrorCode::kUnavailable, "the engine is stopping");
    HR_TRY(const auto record, cursor.Next());
    if (!record || record->header.epoch != next)
      return damaged(fmt::format("epoch {} is damaged: its segment is kept", next.value));
    const auto epoch = DecodeEpochWithoutRows(record->payload, catalogue);
    if (!epoch) return damaged(epoch.error().message());
    writer.Add(*epoch);
    const bool wall = options_.clock == ClockMode::kWall;
    writer.Cover(segment.first, next, record->header.checksum,
                 wall ? epoch->clock : epoch->sealed_at);
  }
  writer.Learn(catalogue.entries());
  return {};
}

void Retention::TakeReserve() {
  env::Files& files = environment_.files();
  const std::string path = folder_ + "/" + std::string(kReserveName);
  const auto there = files.Exists(path);
  if (!there || *there) return;
  auto file = files.OpenForWriting(path, env::Files::Open::kCreateNew);
  if (!file) return;
  const std::atomic<bool> no_hurry{false};
  if ((*file)->Preallocate(options_.reserve_bytes, no_hurry)) return;
  file->reset();
  (void)files.Remove(path);  // there is no space to reserve; the next step tries again
}

Result<void> Retention::PutFile(const std::string& path, std::span<const uint8_t> bytes) {
  env::Files& files = environment_.files();
  auto put = env::PutAtomically(files, path, bytes);
  if (put || put.error().code() != ErrorCode::kStorageFull) return put;
  const std::string reserve = folder_ + "/" + std::string(kReserveName);
  HR_TRY(const bool there, files.Exists(reserve));
  if (!there) return put;
  HR_TRY_VOID(files.Remove(reserve));
  return env::PutAtomically(files, path, bytes);
}

// Writes a file in place of residues_[replaced_from, replaced_to).
Result<void> Retention::Put(ResidueWriter& writer, size_t replaced_from, size_t replaced_to) {
  env::Files& files = environment_.files();
  const std::vector<uint8_t> bytes = writer.Bytes();
  const std::string path = ResiduePath(folder_, writer.head().first, writer.head().last);
  HR_TRY_VOID(PutFile(path, bytes));
  environment_.CrashPoint("retain.after_put");
  const auto begin = residues_.begin() + static_cast<std::ptrdiff_t>(replaced_from);
  const auto end = residues_.begin() + static_cast<std::ptrdiff_t>(replaced_to);
  std::vector<std::string> replaced;
  for (auto residue = begin; residue != end; ++residue)
    if (residue->path != path) replaced.push_back(residue->path);
  const auto place = residues_.erase(begin, end);
  residues_.insert(place, {writer.head(), path, bytes.size()});
  for (const std::string& old : replaced) HR_TRY_VOID(files.Remove(old));
  return {};
}

Result<void> Retention::RemoveSegment(const SegmentExtent& segment) {
  env::Files& files = environment_.files();
  environment_.CrashPoint("retain.before_remove");
  auto removed = files.Remove(segment.path);
  if (!removed && removed.error().code() != ErrorCode::kNotFound)
    return Fail(std::move(removed).error());
  environment_.CrashPoint("retain.after_remove");
  HR_TRY_VOID(files.SyncFolder(folder_));
  environment_.CrashPoint("retain.after_folder_sync");
  base::LogInfo("log.segment_let_go", {{"file", segment.path},
                                       {"first", std::to_string(segment.first.value)},
                                       {"last", std::to_string(segment.last.value)},
                                       {"bytes", std::to_string(segment.bytes)}});
  return {};
}

uint64_t Retention::ResidueBytes() const {
  uint64_t bytes = 0;
  for (const ResidueFile& residue : residues_) bytes += residue.bytes;
  return bytes;
}

Result<void> Retention::Trim(base::Timestamp now) {
  while (!stopping_) {
    uint64_t whole_bytes = 0;
    for (const ResidueFile& file : residues_) whole_bytes += IsDamaged(file) ? 0 : file.bytes;
    const auto oldest = std::ranges::find_if(residues_, [this](const ResidueFile& file) {
      return file.head.holds == ResidueHead::Holds::kAll && !IsDamaged(file);
    });
    if (oldest == residues_.end()) return {};
    const bool too_old = oldest->head.newest < now - options_.residue_keep;
    if (!too_old && whole_bytes <= options_.residue_bytes_max) return {};
    HR_TRY_VOID(Forget(static_cast<size_t>(oldest - residues_.begin())));
  }
  return {};
}

// The oldest file that holds all, and those right before it that hold definitions, become one that
// holds definitions. Where one of them is damaged nothing is done, but it is known from then on.
Result<void> Retention::Forget(size_t oldest) {
  environment_.CrashPoint("retain.before_forget");
  ResidueWriter writer(log_);
  writer.KeepDefinitionsOnly();
  size_t begin = oldest;
  while (begin > 0 && residues_[begin - 1].head.holds == ResidueHead::Holds::kDefinitions &&
         !IsDamaged(residues_[begin - 1]))
    --begin;
  for (size_t i = begin; i <= oldest; ++i) {
    auto added = writer.AddAll(environment_.files(), residues_[i]);
    if (!added && added.error().code() == ErrorCode::kCorruption) {
      NoteDamage(residues_[i], added.error());
      return {};
    }
    HR_TRY_VOID(std::move(added));
  }
  const uint64_t rows = residues_[oldest].head.refused;
  const base::EpochId last = residues_[oldest].head.last;
  HR_TRY_VOID(Put(writer, begin, oldest + 1));
  environment_.CrashPoint("retain.after_forget");
  HR_TRY_VOID(environment_.files().SyncFolder(folder_));
  base::LogWarning("log.refused_forgotten", {{"folder", folder_},
                                             {"rows", std::to_string(rows)},
                                             {"through_epoch", std::to_string(last.value)}});
  return {};
}

}  // namespace headrace::log
