#include "tables/publish/publisher_actor.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "columns/batch_codec.h"
#include "columns/schema_evolution.h"
#include "tables/publish/made_rows.h"

namespace headrace::tables {
namespace {

constexpr base::Duration kAskAgain =
    std::chrono::duration_cast<base::Duration>(env::BackgroundGate::kAskAgain);
constexpr base::Duration kSlowCommit = std::chrono::seconds(30);
constexpr base::Duration kSealedPause = std::chrono::milliseconds(5);

}  // namespace

using base::EpochId;
using base::Error;
using base::ErrorCode;
using base::Result;

Publisher::Actor::Actor(env::Environment& environment, base::MemoryBudget& budget,
                        PublishedStream stream, PublisherOptions options)
    : environment_(environment),
      budget_(budget),
      stream_(std::move(stream)),
      options_(std::move(options)),
      noted_(stream_) {}

void Publisher::Actor::SetExecutors(env::Executor* executor, env::Executor* upkeep,
                                    env::Executor* rewrite) {
  const std::lock_guard lock(mutex_);
  executor_ = executor;
  upkeep_executor_ = upkeep;
  rewrite_executor_ = rewrite;
}

Result<void> Publisher::Actor::NoteDurable(const log::Epoch& epoch) {
  HR_TRY_VOID(noted_.Note(epoch));
  const std::lock_guard lock(mutex_);
  if (noted_.pending().rows < options_.rows_soon || hurried_ || !started_) return {};
  hurried_ = true;
  PostLocked([](Actor& actor) { actor.Continue(); });
  return {};
}

PublisherCapture Publisher::Actor::Capture() const {
  PublisherCapture capture;
  columns::ByteWriter out(capture.bytes);
  capture.epoch = noted_.Encode(out);
  // Later than the rest: what has gone meanwhile is in the table.
  if (stream_.made != nullptr) stream_.made->Encode(out);
  return capture;
}

Result<void> Publisher::Actor::Restore(std::span<const uint8_t> bytes) {
  columns::ByteReader in(bytes);
  HR_TRY_VOID(noted_.Decode(in));
  if (stream_.made == nullptr) return {};
  HR_TRY_VOID(stream_.made->Decode(in));
  noted_.DropThrough(stream_.made->dropped_through());
  stream_.made->DropThrough(noted_.dropped_through());
  return {};
}

void Publisher::Actor::Start(std::unique_ptr<log::LogReader> log, Append append) {
  log_ = std::move(log);
  append_ = std::move(append);
  application_ = ApplicationId(log_->log(), stream_.name);
  last_plan_ = noted_.logged_plan();
  last_rewrite_ = noted_.logged_rewrite();
  const std::lock_guard lock(mutex_);
  started_ = true;
  PostLocked([](Actor& actor) { actor.Continue(); });
}

void Publisher::Actor::Flush(FlushDone done) {
  const std::lock_guard lock(mutex_);
  flushes_.push_back({noted_.pending().durable, std::move(done)});
  PostLocked([](Actor& actor) { actor.Continue(); });
}

PublisherStatus Publisher::Actor::status() const {
  const std::lock_guard lock(mutex_);
  PublisherStatus status = status_;
  if (rewriter_ != nullptr) status.optimize = rewriter_->status();
  const NotedEpochs::Pending pending = noted_.pending();
  status.durable = pending.durable;
  status.pending_rows = pending.rows;
  status.planned = noted_.logged_plan().value_or(LoggedPlan{}).last;
  status.first_pending = pending.first;
  if (pending.rows > 0)
    status.lag = std::max(base::Duration(0), environment_.clock().Wall() - pending.oldest);
  return status;
}

void Publisher::Actor::PostAfter(base::Duration delay) {
  const uint64_t turn = ++timer_turn_;
  const std::lock_guard lock(mutex_);
  if (executor_ == nullptr) return;
  executor_->PostAt(environment_.clock().Now() + delay, Guarded([turn](Actor& actor) {
                      if (turn != actor.timer_turn_) return;
                      actor.due_ = true;
                      actor.Continue();
                    }));
}

// Decides what is next: after each step, at the timer, when much is pending, and at a flush.
void Publisher::Actor::Continue() {
  if (busy_) return;
  AnswerFlushes();
  if (stopped()) return FailFlushes(Error(ErrorCode::kFailedPrecondition, reason_));
  if (!due_ && !Hurried()) return;
  due_ = false;
  started_at_ = environment_.clock().Now();
  if (table_ == nullptr) return OpenTable();
  if (redo_) {
    environment_.CrashPoint("publish.before_redo");
    return RunPlan();
  }
  PlanNext();
}

// Something does not wait for the timer: a flush, or, unless the last try failed, many pending
// rows.
bool Publisher::Actor::Hurried() {
  const std::lock_guard lock(mutex_);
  hurried_ = false;
  if (!flushes_.empty()) return true;
  return status_.state == State::kRunning && noted_.pending().rows >= options_.rows_soon;
}

void Publisher::Actor::PlanNext() {
  const auto plan = noted_.NextPlan(committed(), options_.plan_rows_max);
  if (!plan) {
    Enter(State::kRunning, "");
    return PostAfter(options_.commit);
  }
  if (!Pass().MayGoOn()) return PostAfter(kAskAgain);
  if (AwaitsRows()) return PostAfter(kSealedPause);
  busy_ = true;
  if (plan->last <= plan->after) {
    environment_.CrashPoint("publish.before_seal");
    return LogEntry(SealingEntry(stream_.name), std::nullopt);
  }
  environment_.CrashPoint("publish.before_plan");
  LogEntry(EncodePlan(*plan, stream_.name), plan);
}

// The epochs that have them are durable, and not applied yet.
bool Publisher::Actor::AwaitsRows() const {
  if (stream_.made == nullptr) return false;
  const NotedEpochs::Pending pending = noted_.pending();
  return pending.rows > 0 && stream_.made->through() < pending.first;
}

void Publisher::Actor::LogEntry(log::ControlEntry entry, std::optional<LoggedPlan> plan) {
  append_(std::move(entry), [weak = weak_from_this(), plan](Result<EpochId> logged) {
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->Post([plan, logged = std::move(logged)](Actor& actor) { actor.OnLogged(plan, logged); });
  });
}

void Publisher::Actor::OnLogged(const std::optional<LoggedPlan>& plan,
                                const Result<EpochId>& logged) {
  busy_ = false;
  if (!logged) return Fail(logged.error());
  if (!plan) {  // sealed: the visible times are there now, or very soon
    PostAfter(kSealedPause);
    return;
  }
  environment_.CrashPoint("publish.after_plan");
  last_plan_ = *plan;
  redo_ = true;
  RunPlan();
}

// Of the commit that is next or under way. It may be late by one interval at the most.
env::BackgroundPass& Publisher::Actor::Pass() {
  if (!pass_) {
    const auto work =
        options_.commit > kSlowCommit ? env::WorkClass::kSlowTables : env::WorkClass::kTables;
    pass_.emplace(environment_, work,
                  fmt::format("table {}: a commit every {}", stream_.name,
                              base::FormatDuration(options_.commit)),
                  options_.commit);
  }
  return *pass_;
}

void Publisher::Actor::RunPlan() {
  auto done = TryRunPlan();
  pass_.reset();
  if (!done) return Fail(done.error());
  redo_ = false;
  retry_delay_ = base::Duration(0);
  Enter(State::kRunning, "");
  const auto took = environment_.clock().Now() - started_at_;
  commit_us_.Record(static_cast<uint64_t>(took / std::chrono::microseconds(1)));
  PostAfter(std::max(base::Duration(0),
                     options_.commit - std::chrono::duration_cast<base::Duration>(took)));
  Post([](Actor& actor) { actor.Continue(); });
}

Result<void> Publisher::Actor::TryRunPlan() {
  if (failed_) {  // an earlier try may have committed after all
    HR_TRY_VOID(table_->Refresh());
    HR_TRY_VOID(Settle());
    failed_ = false;
    if (!redo_) return {};
  }
  // A table that was made after its stream got a wider type has that from its first file on. One
  // that was widened later may be so between two tries of a plan, whose files keep their bytes.
  const columns::SchemaRef schema =
      columns::AsWideAs(noted_.SchemaAt(last_plan_->last), table_->first_columns());
  HR_TRY(const std::vector<DataFile> files,
         WritePlanFiles(environment_, budget_, *log_, stream_, schema, *last_plan_, options_.folder,
                        options_.files, Pass()));
  environment_.CrashPoint("publish.after_files");
  environment_.CrashPoint("publish.before_commit");
  HR_TRY_VOID(table_->Append(files, {application_, last_plan_->last.value}));
  environment_.CrashPoint("publish.after_commit");
  CountCommit(files);
  TendLog();
  return {};
}

void Publisher::Actor::CountCommit(const std::vector<DataFile>& files) {
  SetCommitted(last_plan_->last);
  const base::Timestamp now = environment_.clock().Wall();
  for (const DataFile& file : files)
    for (const SealedRows& sealed : file.sealed)
      visible_us_.Record(static_cast<uint64_t>(std::max<int64_t>(0, (now - sealed.at).count())),
                         sealed.rows);
  const std::lock_guard lock(mutex_);
  ++status_.commits;
  status_.files += files.size();
  for (const DataFile& file : files) {
    status_.rows += file.rows;
    status_.bytes += file.bytes;
  }
}

void Publisher::Actor::SetCommitted(EpochId epoch) {
  const std::lock_guard lock(mutex_);
  status_.committed = epoch;
  noted_.DropThrough(epoch);
  if (stream_.made != nullptr) stream_.made->DropThrough(epoch);
}

EpochId Publisher::Actor::committed() const {
  const std::lock_guard lock(mutex_);
  return status_.committed;
}

void Publisher::Actor::AnswerFlushes() {
  std::vector<FlushDone> done;
  {
    const std::lock_guard lock(mutex_);
    if (redo_ || table_ == nullptr) return;
    const NotedEpochs::Pending pending = noted_.pending();
    std::erase_if(flushes_, [&](Waiter& waiter) {
      if (pending.rows > 0 && pending.first <= waiter.epoch) return false;
      done.push_back(std::move(waiter.done));
      return true;
    });
  }
  if (!done.empty()) environment_.CrashPoint("publish.before_flush_answer");
  for (FlushDone& each : done) each({});
}

void Publisher::Actor::FailFlushes(const Error& error) {
  std::vector<Waiter> waiters;
  {
    const std::lock_guard lock(mutex_);
    waiters.swap(flushes_);
  }
  for (Waiter& waiter : waiters) waiter.done(base::Fail(error));
}

void Publisher::Actor::Fail(const Error& error) {
  failed_ = true;
  reason_ = error.ToString();
  const bool final = !MayPass(error.code());
  Enter(final ? State::kStopped : State::kRetrying, reason_);
  if (final) {
    base::LogWarning("tables.publisher_stopped", {{"stream", stream_.name}, {"reason", reason_}});
  } else {
    environment_.CrashPoint("publish.before_retry");
    retry_delay_ = std::clamp(retry_delay_ * 2, options_.retry_min, options_.retry_max);
    base::LogWarning("tables.publish_failed", {{"stream", stream_.name},
                                               {"reason", reason_},
                                               {"retry_in", base::FormatDuration(retry_delay_)}});
    PostAfter(retry_delay_);
  }
  FailFlushes(error);
}

void Publisher::Actor::Enter(State state, std::string reason) {
  const std::lock_guard lock(mutex_);
  status_.state = state;
  status_.reason = std::move(reason);
}
bool Publisher::Actor::stopped() const {
  const std::lock_guard lock(mutex_);
  return status_.state == State::kStopped;
}

}  // namespace headrace::tables
