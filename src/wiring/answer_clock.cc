#include "wiring/answer_clock.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "env/end_executor.h"

namespace headrace::wiring {
namespace {

constexpr env::MonotonicTime kLookAtWallEvery = std::chrono::milliseconds(1);

}  // namespace

AnswerClock::AnswerClock(env::Environment& environment, log::ClockMark mark, base::Timestamp floor)
    : environment_(environment),
      wall_seen_at_(environment.clock().Now()),
      wall_(environment.clock().Wall()),
      clock_(floor, wall_seen_at_, wall_),
      mark_(std::move(mark)) {}

base::Result<std::unique_ptr<AnswerClock>> AnswerClock::Start(env::Environment& environment,
                                                              const std::string& data_folder,
                                                              base::Timestamp floor) {
  const std::string path = ClockMarkPath(data_folder);
  HR_TRY(log::ClockMark mark, log::ClockMark::Open(environment, path));
  std::unique_ptr<AnswerClock> clock(new AnswerClock(environment, std::move(mark), floor));
  HR_TRY_VOID(clock->Write());
  HR_TRY_VOID(environment.files().SyncFolder(data_folder));
  clock->executor_ = environment.NewExecutor("clock", env::Priority::kBackground);
  clock->executor_->PostAt(environment.clock().Now() + log::ClockMark::kEvery,
                           [self = clock.get()] { self->Mark(); });
  return clock;
}

AnswerClock::~AnswerClock() {
  if (executor_) env::EndExecutor(executor_);
}

base::Timestamp AnswerClock::Now() { return At(environment_.clock().Now()); }

// A reading costs 30 ns, and an answer over the Redis protocol 2 us.
base::Timestamp AnswerClock::At(env::MonotonicTime now) {
  const std::lock_guard lock(mutex_);
  if (now - wall_seen_at_ >= kLookAtWallEvery) {
    wall_ = environment_.clock().Wall();
    wall_seen_at_ = now;
  }
  return clock_.Read(now, wall_ + std::chrono::duration_cast<base::Duration>(now - wall_seen_at_));
}

log::ClockSteps AnswerClock::Steps() {
  (void)Now();
  const std::lock_guard lock(mutex_);
  return clock_.steps();
}

base::Result<void> AnswerClock::Write() {
  const env::MonotonicTime at = environment_.clock().Now();
  return mark_.Write(Now(), at);
}

// Without marks the next start may only be behind if the wall clock is: worth a word, no more.
void AnswerClock::Mark() {
  const auto written = Write();
  if (!written && !std::exchange(failed_, true))
    base::LogWarning("wiring.clock_not_marked", {{"error", written.error().ToString()}});
  if (written) failed_ = false;
  executor_->PostAt(environment_.clock().Now() + log::ClockMark::kEvery, [this] { Mark(); });
}

}  // namespace headrace::wiring
