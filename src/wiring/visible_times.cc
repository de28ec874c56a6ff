#include "wiring/visible_times.h"

#include <algorithm>
#include <utility>

#include "log/reader.h"
#include "tables/publish/plan.h"

namespace headrace::wiring {
namespace {

using base::EpochId;
using base::Result;

std::string ObservedStream(const pipeline::PipelineDefinition& definition) {
  for (const pipeline::StreamDefinition& stream : definition.streams)
    if (!stream.derived() && !stream.known_at.assumed()) return stream.name;
  return "";
}

}  // namespace

VisibleTimes::VisibleTimes(env::Environment& environment, log::Sequencer& sequencer,
                           const pipeline::PipelineDefinition& definition)
    : environment_(environment), sequencer_(sequencer), stream_(ObservedStream(definition)) {
  if (!stream_.empty())
    executor_ = environment.NewExecutor("visible-times", env::Priority::kBackground);
}

VisibleTimes::~VisibleTimes() { Close(); }

void VisibleTimes::Close() {
  std::unique_ptr<env::Executor> ending;
  const std::lock_guard lock(mutex_);
  ending = std::move(executor_);
}

// Rows that a life before did not tell of are known from this one on.
void VisibleTimes::Start(const std::string& log_folder, base::Timestamp now) {
  const EpochId newest = sequencer_.status().durable;
  const std::lock_guard lock(mutex_);
  if (executor_ == nullptr || newest.value == 0) return;
  sequencer_.MarkVisible(newest, now);
  visible_ = newest;
  executor_->Post([this, log_folder, newest] { LookAtLog(log_folder, newest); });
}

void VisibleTimes::LookAtLog(const std::string& log_folder, EpochId newest) {
  bool tells = true;
  const auto look = [&](const log::EpochRef& epoch) -> Result<void> {
    tells = epoch->row_count() == 0 && epoch->visible_through.Next() >= newest;
    return {};
  };
  // What can't be read is for others to say.
  if (const auto reader = log::LogReader::Open(environment_, log_folder))
    (void)(*reader)->Scan(newest, newest, look);
  if (tells) return;
  const std::lock_guard lock(mutex_);
  with_rows_ = std::max(with_rows_, newest);
  LookAt(environment_.clock().Now() + kQuiet);
}

void VisibleTimes::NoteDurable(const log::Epoch& epoch) {
  if (stream_.empty()) return;
  const std::lock_guard lock(mutex_);
  told_ = std::max(told_, epoch.visible_through);
  if (epoch.row_count() == 0) return;
  with_rows_ = epoch.id;
  rows_at_ = environment_.clock().Now();
  LookAt(rows_at_ + kQuiet);
}

void VisibleTimes::LookAt(env::MonotonicTime at) {
  if (executor_ == nullptr || std::exchange(looking_, true)) return;
  executor_->PostAt(at, [this] { Look(); });
}

void VisibleTimes::Look() {
  {
    const std::lock_guard lock(mutex_);
    looking_ = false;
    if (!IsUntold()) return;
    const env::MonotonicTime now = environment_.clock().Now();
    if (now < rows_at_ + kQuiet) return LookAt(rows_at_ + kQuiet);
    if (visible_ < with_rows_) return LookAt(now + kQuiet);
    asked_for_ = with_rows_;
  }
  Seal([] {});
}

void VisibleTimes::NoteVisible(EpochId epoch) {
  if (stream_.empty()) return;
  std::function<void()> done;
  {
    const std::lock_guard lock(mutex_);
    visible_ = std::max(visible_, epoch);
    if (!when_told_ || visible_ < with_rows_) return;
    done = std::exchange(when_told_, {});
    asked_for_ = with_rows_;
  }
  Seal(std::move(done));
}

void VisibleTimes::Tell(std::function<void()> done) {
  bool untold = false;
  {
    const std::lock_guard lock(mutex_);
    untold = !stream_.empty() && IsUntold();
    if (untold && visible_ < with_rows_) {
      when_told_ = std::move(done);
      return;
    }
    if (untold) asked_for_ = with_rows_;
  }
  if (untold) return Seal(std::move(done));
  done();
}

// The epoch of an empty entry says when those before it became visible.
void VisibleTimes::Seal(std::function<void()> done) {
  sequencer_.Append(tables::SealingEntry(stream_),
                    [this, done = std::move(done)](const Result<EpochId>& sealed) {
                      if (!sealed) AskAgain();
                      done();
                    });
}

void VisibleTimes::AskAgain() {
  const std::lock_guard lock(mutex_);
  asked_for_ = told_;
  LookAt(environment_.clock().Now() + kQuiet);
}

}  // namespace headrace::wiring
