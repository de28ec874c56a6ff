#include "wiring/log_retention.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "tables/publish/plan.h"
#include "wiring/root_stream.h"

namespace headrace::wiring {
namespace {

// With this share of log.bytes_max in use, room comes before age.
constexpr uint64_t kFullNumerator = 3;
constexpr uint64_t kFullDenominator = 4;

}  // namespace

LogRetention::LogRetention(env::Environment& environment, Sources sources)
    : environment_(environment),
      sources_(std::move(sources)),
      executor_(environment.NewExecutor("retention", env::Priority::kBackground)) {}

LogRetention::~LogRetention() { Close(); }

void LogRetention::Start() {
  const log::LogStatus status = sources_.sequencer.status();
  const std::lock_guard lock(mutex_);
  clock_ = status.clock;
  marks_.push_back({status.clock, status.durable});
  executor_->PostAt(environment_.clock().Now() + kEvery, [this] { Tick(); });
}

void LogRetention::Close() {
  std::unique_ptr<env::Executor> ending;
  const std::lock_guard lock(mutex_);
  ending = std::move(executor_);
}

void LogRetention::Hold(std::move_only_function<void(base::EpochId)> done) {
  {
    const std::lock_guard lock(mutex_);
    held_ = true;
  }
  sources_.sequencer.Hold(std::move(done));
}

void LogRetention::LetGo() {
  {
    const std::lock_guard lock(mutex_);
    held_ = false;
  }
  sources_.sequencer.LetGo();
}

LogRetention::Pin LogRetention::PinAll() {
  const std::lock_guard lock(mutex_);
  pins_.emplace(next_pin_, base::EpochId{0});
  return {this, next_pin_++};
}

void LogRetention::Pin::MoveTo(base::EpochId after) {
  const std::lock_guard lock(retention_->mutex_);
  retention_->pins_.at(number_) = after;
}

void LogRetention::Unpin(uint64_t number) {
  const std::lock_guard lock(mutex_);
  pins_.erase(number);
}

std::optional<base::EpochId> LogRetention::Pinned() const {
  const std::lock_guard lock(mutex_);
  std::optional<base::EpochId> least;
  for (const auto& [number, after] : pins_) least = std::min(least.value_or(after), after);
  return least;
}

void LogRetention::NoteDurable(const log::Epoch& epoch) {
  const auto& keep = sources_.definition.log.keep;
  const std::lock_guard lock(mutex_);
  clock_ = std::max(clock_, epoch.clock);
  if (!keep || marks_.size() == kMarksMax) return;
  if (!marks_.empty() && epoch.clock < marks_.back().clock + *keep / (kMarksMax / 2)) return;
  marks_.push_back({epoch.clock, epoch.id});
}

// A mark says when an epoch was sealed; those before it are older.
base::EpochId LogRetention::OlderThan(base::Duration keep) {
  const std::lock_guard lock(mutex_);
  const base::Timestamp edge = clock_ - keep;
  base::EpochId older;
  while (!marks_.empty() && marks_.front().clock < edge) {
    older = marks_.front().epoch;
    if (marks_.size() > 1 && marks_[1].clock >= edge) break;
    if (marks_.size() == 1) break;
    marks_.pop_front();
  }
  return older;
}

bool LogRetention::IsFull(const log::LogStatus& status) const {
  return status.log_bytes * kFullDenominator > sources_.definition.log.bytes_max * kFullNumerator;
}

watch::RetentionFigures LogRetention::Needed() {
  const pipeline::PipelineDefinition& definition = sources_.definition;
  const log::LogStatus status = sources_.sequencer.status();
  const bool full = IsFull(status);
  if (IsHeld()) return {status.first, "views that are being built"};
  if (!definition.log.keep && !full) return {{0}, "there is room"};
  const base::EpochId safe = sources_.snapshotter.SafeAfter();
  if (safe.value == 0) return {{0}, "fewer than two snapshots of the state"};
  watch::RetentionFigures needed{safe.Next(), "the snapshot before the newest"};
  const auto hold = [&](base::EpochId after, std::string what) {
    if (after.Next() < needed.needed_from) needed = {after.Next(), std::move(what)};
  };
  if (const auto committed = sources_.publishers.CommittedThrough())
    hold(*committed, "rows that their table lacks");
  if (!definition.log.keep) {
    if (!sources_.left_out.empty())
      return {
          {0},
          fmt::format("this file lacks stream {}: serve one that has it, or say log.keep to let "
                      "its rows go",
                      fmt::join(sources_.left_out, ", "))};
    for (size_t i = 0; i < definition.streams.size(); ++i)
      if (!definition.streams[i].derived() &&
          std::ranges::none_of(definition.tables,
                               [i](const auto& table) { return table.stream == i; }))
        return {{0},
                fmt::format("stream {} has no table: say log.keep to let its rows go",
                            definition.streams[i].name)};
  } else if (!full) {
    hold(OlderThan(*definition.log.keep), "log.keep");
  }
  if (const auto pinned = Pinned(); pinned && !full) hold(*pinned, "a scan that is under way");
  return needed;
}

// Of what the last one allows all is gone, and nothing else holds the rows.
bool LogRetention::WaitsForSnapshot(base::EpochId needed_from) {
  const log::LogStatus status = sources_.sequencer.status();
  if (std::exchange(first_, status.first) != status.first) {
    sealed_ = 0;
    return false;
  }
  if (needed_from > told_) return false;
  if (!IsFull(status) || IsHeld()) return false;
  const base::EpochId safe = sources_.snapshotter.SafeAfter();
  return safe.value == 0 || needed_from == safe.Next();
}

// A snapshot is of an epoch, and two are needed: where rows are refused none would come any more.
void LogRetention::SealForSnapshot() {
  constexpr int kSealedMax = 2;
  const base::EpochId through = sources_.snapshotter.figures().through;
  if (sources_.sequencer.status().durable > through || sealed_ == kSealedMax) return;
  if (sealing_.exchange(true)) return;
  const auto told = [this](const base::Result<base::EpochId>& sealed) {
    sealed_ += sealed ? 1 : 0;
    sealing_ = false;
  };
  sources_.sequencer.Append(tables::SealingEntry(RootStreamOf(sources_.definition)), told);
}

void LogRetention::Tick() {
  watch::RetentionFigures needed = Needed();
  const bool waits = WaitsForSnapshot(needed.needed_from);
  sources_.snapshotter.NoteLogWaits(waits);
  if (waits) SealForSnapshot();
  if (needed.needed_from > told_) {
    told_ = needed.needed_from;
    sources_.sequencer.Retain(told_);
  }
  const std::lock_guard lock(mutex_);
  figures_ = std::move(needed);
  if (executor_ != nullptr)
    executor_->PostAt(environment_.clock().Now() + kEvery, [this] { Tick(); });
}

watch::RetentionFigures LogRetention::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

}  // namespace headrace::wiring
