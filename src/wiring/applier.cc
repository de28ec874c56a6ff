#include "wiring/applier.h"

#include <algorithm>
#include <utility>

#include "env/end_executor.h"

namespace headrace::wiring {
namespace {

// How long to wait for readers to leave before asking again: well under a pin's lifetime, far over
// a lookup.
constexpr env::MonotonicTime kHeldRetry = std::chrono::microseconds(200);

}  // namespace

Applier::Applier(env::Environment& environment, pipeline::ViewSet& views,
                 VisibleCallback on_visible)
    : environment_(environment),
      views_(views),
      on_visible_(std::move(on_visible)),
      executor_(environment.NewExecutor("applier", env::Priority::kRealTime)) {}

Applier::~Applier() { env::EndExecutor(executor_); }

void Applier::Take(log::EpochRef epoch) {
  const uint64_t rows = epoch->row_count();
  const uint64_t bytes = epoch->row_bytes();
  backlog_rows_.fetch_add(rows, std::memory_order_relaxed);
  backlog_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({std::move(epoch), environment_.clock().Now(), rows, bytes});
  }
  Schedule();
}

void Applier::TakeHistory(pipeline::HistoryRows rows, env::Task done) {
  {
    const std::lock_guard lock(mutex_);
    history_.push_back({std::move(rows), std::move(done)});
  }
  Schedule();
}

Applier::Ages Applier::ages() const {
  const std::lock_guard lock(mutex_);
  const env::MonotonicTime now = environment_.clock().Now();
  const auto since = [now](env::MonotonicTime then) {
    return std::chrono::duration_cast<base::Duration>(now - then);
  };
  Ages ages;
  if (step_taken_) {
    ages.oldest = since(*step_taken_);
  } else if (!waiting_.empty()) {
    ages.oldest = since(waiting_.front().taken);
  }
  if (step_began_) ages.step = since(*step_began_);
  return ages;
}

void Applier::Schedule() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(scheduled_, true)) return;
  }
  executor_->Post([this] { Run(); });
}

void Applier::Run() {
  if (views_.HeldByReaders()) {
    executor_->PostAt(environment_.clock().Now() + kHeldRetry, [this] { Run(); });
    return;
  }
  std::vector<Waiting> step;
  std::optional<History> history;
  {
    const std::lock_guard lock(mutex_);
    const size_t count = std::min(waiting_.size(), kEpochsPerStep);
    step.assign(std::make_move_iterator(waiting_.begin()),
                std::make_move_iterator(waiting_.begin() + static_cast<ptrdiff_t>(count)));
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<ptrdiff_t>(count));
    if (!history_.empty()) {
      history = std::move(history_.front());
      history_.pop_front();
    }
    if (!step.empty()) step_taken_ = step.front().taken;
    if (!step.empty() || history) step_began_ = environment_.clock().Now();
  }
  if (!step.empty() || history) Step(step, history ? &history->rows : nullptr);
  if (history) history->done();
  bool again = false;
  {
    const std::lock_guard lock(mutex_);
    step_taken_.reset();
    step_began_.reset();
    again = !waiting_.empty() || !history_.empty();
    scheduled_ = again;
  }
  if (again) executor_->Post([this] { Run(); });
}

void Applier::Step(const std::vector<Waiting>& step, const pipeline::HistoryRows* history) {
  std::vector<log::EpochRef> epochs;
  epochs.reserve(step.size());
  uint64_t rows = 0;
  uint64_t bytes = 0;
  for (const Waiting& waiting : step) {
    rows += waiting.rows;
    bytes += waiting.bytes;
    epochs.push_back(waiting.epoch);
  }
  if (epochs.empty()) return views_.Apply({}, history);
  environment_.CrashPoint("applier.before_apply");
  views_.Apply(epochs, history);
  environment_.CrashPoint("applier.after_apply");
  backlog_rows_.fetch_sub(rows, std::memory_order_relaxed);
  backlog_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  const env::MonotonicTime now = environment_.clock().Now();
  for (const Waiting& waiting : step)
    visible_us_.Record(static_cast<uint64_t>((now - waiting.taken).count()) / 1000);
  on_visible_(epochs.back()->id);
  environment_.CrashPoint("applier.after_visible");
}

}  // namespace headrace::wiring
