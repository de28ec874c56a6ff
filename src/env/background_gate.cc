#include "env/background_gate.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/time.h"
#include "env/environment.h"

namespace headrace::env {

std::string_view NameOf(WorkClass work) {
  constexpr std::array<std::string_view, kWorkClasses> kNames = {
      "training", "maintenance", "slow_tables", "tables", "snapshots"};
  return kNames[static_cast<size_t>(work)];
}

void BackgroundGate::Pause(WorkClass work, std::string why, MonotonicTime now) {
  const std::lock_guard lock(mutex_);
  WorkClassFigures& figures = figures_[static_cast<size_t>(work)];
  figures.why = std::move(why);
  if (figures.paused) return;
  figures.paused = true;
  figures.since = now;
  ++figures.pauses;
  shut_[static_cast<size_t>(work)].store(true, std::memory_order_release);
}

void BackgroundGate::Resume(WorkClass work, MonotonicTime now) {
  {
    const std::lock_guard lock(mutex_);
    WorkClassFigures& figures = figures_[static_cast<size_t>(work)];
    if (!figures.paused) return;
    figures.paused = false;
    figures.paused_total += now - figures.since;
    shut_[static_cast<size_t>(work)].store(false, std::memory_order_release);
  }
  opened_.notify_all();
}

WorkClassFigures BackgroundGate::Figures(WorkClass work, MonotonicTime now) const {
  const std::lock_guard lock(mutex_);
  WorkClassFigures figures = figures_[static_cast<size_t>(work)];
  if (figures.paused) figures.paused_total += now - figures.since;
  return figures;
}

void BackgroundGate::BeginWaiting(WorkClass work) {
  const std::lock_guard lock(mutex_);
  ++figures_[static_cast<size_t>(work)].waiting;
}

void BackgroundGate::EndWaiting(WorkClass work, MonotonicTime waited,
                                std::string_view overridden_by) {
  const std::lock_guard lock(mutex_);
  WorkClassFigures& figures = figures_[static_cast<size_t>(work)];
  --figures.waiting;
  figures.waited_total += waited;
  if (overridden_by.empty()) return;
  ++figures.overridden;
  figures.overridden_by = overridden_by;
}

void BackgroundGate::WaitUntilOpen(WorkClass work, MonotonicTime wait_max) {
  std::unique_lock lock(mutex_);
  opened_.wait_for(lock, wait_max, [&] { return IsOpen(work); });
}

BackgroundPass::BackgroundPass(Environment& environment, WorkClass work, std::string bound,
                               MonotonicTime wait_max)
    : gate_(environment.background()),
      clock_(environment.clock()),
      work_(work),
      bound_(std::move(bound)),
      wait_max_(wait_max) {}

BackgroundPass::~BackgroundPass() {
  if (waiting_) Leave(clock_.Now());
}

bool BackgroundPass::MayGoOn() {
  if (gate_.IsOpen(work_) || overridden_) {
    if (waiting_) Leave(clock_.Now());
    return true;
  }
  const MonotonicTime now = clock_.Now();
  if (!waiting_) {
    waiting_ = true;
    waiting_since_ = now;
    gate_.BeginWaiting(work_);
  }
  if (waited_ + (now - waiting_since_) < wait_max_) return false;
  overridden_ = true;
  Leave(now);
  base::LogWarning(
      "env.pause_overridden",
      {{"work", std::string(NameOf(work_))},
       {"bound", bound_},
       {"waited", base::FormatDuration(std::chrono::duration_cast<base::Duration>(waited_))}});
  return true;
}

void BackgroundPass::Wait() {
  while (!WaitFor(wait_max_)) {
  }
}

bool BackgroundPass::WaitFor(MonotonicTime span) {
  if (MayGoOn()) return true;
  const MonotonicTime left = wait_max_ - waited_ - (clock_.Now() - waiting_since_);
  gate_.WaitUntilOpen(work_, std::min(span, left));
  return MayGoOn();
}

void BackgroundPass::Leave(MonotonicTime now) {
  waiting_ = false;
  waited_ += now - waiting_since_;
  gate_.EndWaiting(work_, now - waiting_since_,
                   overridden_ ? std::string_view(bound_) : std::string_view());
}

}  // namespace headrace::env
