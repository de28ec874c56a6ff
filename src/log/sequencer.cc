#include "log/sequencer.h"

#include <algorithm>

#include <fmt/core.h>

#include "base/log.h"
#include "log/epoch_codec.h"
#include "log/log_folder.h"
#include "log/log_sequencer.h"
#include "log/recovery_progress.h"

namespace headrace::log {

using base::ErrorCode;
using base::Fail;
using base::Result;

Result<std::unique_ptr<Sequencer>> Sequencer::Open(
    env::Environment& environment, base::MemoryBudget& budget, const std::string& folder,
    LogOptions options, const std::function<Result<void>(const Epoch&)>& on_recovered) {
  return Open(environment, budget, folder, options, ResumePoint{}, on_recovered);
}

Result<std::unique_ptr<Sequencer>> Sequencer::Open(
    env::Environment& environment, base::MemoryBudget& budget, const std::string& folder,
    LogOptions options, const ResumePoint& resume,
    const std::function<Result<void>(const Epoch&)>& on_recovered) {
  auto sequencer = std::make_unique<LogSequencer>(environment, budget, folder, options);
  HR_TRY_VOID(sequencer->Recover(resume, on_recovered));
  return sequencer;
}

LogSequencer::LogSequencer(env::Environment& environment, base::MemoryBudget& budget,
                           std::string folder, LogOptions options)
    : environment_(environment),
      budget_(budget),
      folder_(std::move(folder)),
      options_(options),
      admission_(options_) {}

LogSequencer::~LogSequencer() {
  Stop();
  budget_.Force(base::MemoryAccount::kLog, -static_cast<int64_t>(admission_bytes_charged_));
}

Result<void> LogSequencer::Recover(const ResumePoint& resume,
                                   const RecoveredCallback& on_recovered) {
  HR_TRY_VOID(environment_.files().CreateFolders(folder_));
  environment_.CrashPoint("open.after_folder");
  HR_TRY(lock_, environment_.files().Lock(folder_ + "/" + std::string(kLockName)));
  environment_.CrashPoint("open.after_lock");
  HR_TRY(log_, ReadOrCreateLogId(environment_, folder_));
  environment_.CrashPoint("open.after_id");
  HR_TRY(const RecoverFrom from, LearnCaptured(resume));
  const auto visit = [&](const Epoch& epoch) -> Result<void> {
    HR_TRY_VOID(LearnStreams(epoch));
    if (epoch.id > from.decided) LearnRecovered(epoch);
    return on_recovered ? on_recovered(epoch) : Result<void>();
  };
  RecoveryProgress unseen(environment_.clock());
  HR_TRY(LogTail tail,
         log::Recover(environment_, folder_, log_, from,
                      options_.progress != nullptr ? *options_.progress : unseen, visit));
  HR_TRY(mark_, DurableMark::Open(environment_.files(), folder_, log_, options_.durability));
  environment_.CrashPoint("open.before_mark");
  mark_->NoteSynced(tail.last);
  SetMark(tail.last);
  environment_.CrashPoint("open.after_mark");
  durable_ = tail.last;
  last_checksum_ = tail.last_checksum;
  log_bytes_ = tail.log_bytes;
  pending_ = PendingEpoch(durable_.Next());
  env::Clock& clock = environment_.clock();
  const env::MonotonicTime now = clock.Now();
  clock_ = std::make_unique<LogClock>(std::max(status_.clock, options_.clock_floor.At(now)), now,
                                      clock.Wall());
  status_.log = log_;
  status_.durable = durable_;
  status_.log_bytes = log_bytes_;
  status_.log_bytes_max = options_.log_bytes_max;
  status_.bytes_replayed = tail.visited_bytes;
  ChargeAdmissionState();

  executor_ = environment_.NewExecutor("sequencer", env::Priority::kEager);
  self_ = executor_.get();
  segments_ =
      std::make_unique<SegmentStore>(environment_, folder_, options_, *self_, [this] { Pump(); });
  HR_TRY_VOID(segments_->Open(tail));
  retention_ = std::make_unique<Retention>(environment_, folder_, log_, options_, *self_,
                                           [this](uint64_t freed) { OnLetGo(freed); });
  retention_->Open(tail);
  PublishRetention();
  environment_.CrashPoint("open.after_segment");
  base::LogInfo("log.open", {{"folder", folder_},
                             {"log", log_.ToString()},
                             {"epoch", std::to_string(durable_.value)},
                             {"bytes", std::to_string(log_bytes_)}});
  return {};
}

Result<RecoverFrom> LogSequencer::LearnCaptured(const ResumePoint& resume) {
  if (resume.state.empty()) {
    if (resume.after.value == 0) return RecoverFrom{};
    return Fail(ErrorCode::kInvalidInput, "recovery from the middle needs the state of there");
  }
  HR_TRY(const CaptureHead head, RestoreCapture(resume.state, admission_, catalogue_));
  if (head.log != log_)
    return Fail(base::Error(ErrorCode::kConflict, "the state was captured from another log")
                    .With("captured_from", head.log.ToString())
                    .With("log", log_.ToString()));
  if (head.epoch < resume.after)
    return Fail(ErrorCode::kInvalidInput, "the state is of an epoch before the resume point");
  status_.clock = head.clock;
  status_.rows_accepted = head.rows_accepted;
  status_.rows_refused = head.rows_refused;
  return RecoverFrom{resume.after, head.epoch, head.record_checksum};
}

// Of epochs that a capture knows too: it names the streams as they were when it was begun.
Result<void> LogSequencer::LearnStreams(const Epoch& epoch) {
  for (const ControlEntry& control : epoch.controls) {
    if (control.kind != ControlEntry::Kind::kStream) continue;
    HR_TRY(StreamEntry entry, DecodeStreamEntry(control.name, control.payload));
    catalogue_.Put(std::move(entry));
  }
  return {};
}

void LogSequencer::LearnRecovered(const Epoch& epoch) {
  admission_.Restore(epoch, [&](base::StreamId stream) -> std::optional<size_t> {
    const StreamEntry* entry = catalogue_.Find(stream);
    for (size_t i = 0; entry != nullptr && i < entry->schema->size(); ++i)
      if (entry->schema->field(i).id == entry->event_time_field) return i;
    return std::nullopt;
  });
  status_.clock = epoch.clock;
  for (const StreamRows& rows : epoch.streams) status_.rows_accepted += rows.rows.rows();
  for (const StreamRejects& rejects : epoch.rejects) status_.rows_refused += rejects.rows.size();
}

void LogSequencer::PutStream(StreamEntry entry, StreamTiming timing) {
  if (entry.id.value >= streams_.size()) streams_.resize(entry.id.value + 1);
  streams_[entry.id.value] = Stream{entry, timing};
  catalogue_.Put(std::move(entry));
  preface_bytes_ = EncodedBytesMax({}, catalogue_.entries());
}

Result<StreamEntry> LogSequencer::Successor(const StreamSpec& spec, SchemaChange& change) const {
  const size_t event_time = spec.timing.event_time_field;
  if (event_time >= spec.schema->size() ||
      spec.schema->field(event_time).type != columns::Type::kTimestamp)
    return Fail(ErrorCode::kInvalidInput,
                fmt::format("the event time of stream `{}` must be a timestamp column", spec.name));
  StreamEntry entry{catalogue_.NextId(), spec.name, spec.schema, 0};
  change = SchemaChange::kChanges;
  if (const StreamEntry* known = catalogue_.Find(spec.name)) {
    entry.id = known->id;
    HR_TRY(entry.schema, Evolve(*known, *spec.schema, change));
    if (entry.schema->field(event_time).id != known->event_time_field)
      return Fail(ErrorCode::kConflict,
                  fmt::format("the log has another event time for stream `{}`: give the changed "
                              "stream a new name",
                              spec.name));
  }
  entry.event_time_field = entry.schema->field(event_time).id;
  return entry;
}

Result<base::StreamId> LogSequencer::AddStream(const std::string& name, columns::SchemaRef schema,
                                               StreamTiming timing) {
  HR_CHECK(!started_posting_, "AddStream after Start");
  SchemaChange change = SchemaChange::kNone;
  HR_TRY(
      StreamEntry entry,
      Successor({.id = {}, .name = name, .schema = std::move(schema), .timing = timing}, change));
  const base::StreamId id = entry.id;
  if (change == SchemaChange::kChanges)
    pending_.Add({ControlEntry::Kind::kStream, name, EncodeStreamEntry(entry)}, nullptr);
  PutStream(std::move(entry), timing);
  return id;
}

void LogSequencer::Start(DurableCallback on_durable) {
  const std::lock_guard lock(post_mutex_);
  HR_CHECK(!started_posting_, "Start twice");
  started_posting_ = true;
  self_->Post([this, on_durable = std::move(on_durable)]() mutable {
    on_durable_ = std::move(on_durable);
    started_ = true;
    Pump();
  });
  for (env::Task& task : before_start_) self_->Post(std::move(task));
  before_start_.clear();
}

bool LogSequencer::PostFromOutside(env::Task& task) {
  const std::lock_guard lock(post_mutex_);
  if (stopped_) return false;
  if (started_posting_) {
    self_->Post(std::move(task));
  } else {
    before_start_.push_back(std::move(task));
  }
  return true;
}

Result<void> LogSequencer::Charge(Submission& submission) {
  submission.bytes = BytesOf(submission.batch);
  if (submission.bytes > options_.queue_bytes_max)
    return Fail(base::Error(ErrorCode::kInvalidInput,
                            "one batch is larger than log.queue_bytes_max: split it")
                    .With("bytes", std::to_string(submission.bytes))
                    .With("queue_bytes_max", std::to_string(options_.queue_bytes_max)));
  HR_TRY(submission.charge, budget_.TryCharge(base::MemoryAccount::kLog, submission.bytes));
  const uint64_t before = queued_bytes_.fetch_add(submission.bytes);
  if (before + submission.bytes <= options_.queue_bytes_max) return {};
  queued_bytes_.fetch_sub(submission.bytes);
  submission.charge.Release();
  return Fail(base::Error(ErrorCode::kResourceExhausted,
                          "log.queue_bytes_max is reached: the disk is slower than the senders")
                  .With("queued_bytes", std::to_string(before))
                  .With("queue_bytes_max", std::to_string(options_.queue_bytes_max)));
}

namespace {

base::Error Stopped() { return {ErrorCode::kUnavailable, "the engine is stopping"}; }

}  // namespace

// Once stopped there is no executor: the answer comes on the caller's thread.
void LogSequencer::Submit(columns::EventBatch batch, AckCallback done) {
  Submission submission{std::move(batch), std::move(done), environment_.clock().Now()};
  auto charged = Charge(submission);
  auto shared = std::make_shared<Submission>(std::move(submission));
  env::Task task;
  if (charged) {
    task = [this, shared] { TakeBatch(std::move(*shared)); };
  } else {
    task = [shared, error = std::move(charged).error()] { shared->done(Fail(error)); };
  }
  if (!PostFromOutside(task)) {
    SettleCharges(*shared);
    shared->done(Fail(Stopped()));
  }
}

// By the wall clock itself: the log clock belongs to the executor, and leans towards it.
bool LogSequencer::WouldFollow(const columns::EventBatch& batch, const StreamTiming& timing,
                               base::EpochId epoch) const {
  const base::Timestamp wall = environment_.clock().Wall();
  const std::lock_guard lock(state_mutex_);
  return !status_.read_only && admission_.WouldFollow(batch, timing, {wall, wall}, epoch);
}

void LogSequencer::Append(ControlEntry entry, ControlCallback done) {
  AppendEvolving({}, std::move(entry), std::move(done));
}

void LogSequencer::AppendEvolving(std::vector<StreamSpec> streams, ControlEntry entry,
                                  ControlCallback done) {
  auto waiter = std::make_shared<ControlWaiter>(
      ControlWaiter{std::move(entry), std::move(done), std::move(streams)});
  env::Task task = [this, waiter] { TakeControl(std::move(*waiter)); };
  if (!PostFromOutside(task) && waiter->done) waiter->done(Fail(Stopped()));
}

void LogSequencer::MarkVisible(base::EpochId epoch, base::Timestamp at) {
  const std::lock_guard lock(state_mutex_);
  if (epoch <= visible_through_) return;
  visible_through_ = epoch;
  visible_at_ = at;
}

void LogSequencer::CaptureState(CaptureCallback done) {
  auto shared = std::make_shared<CaptureCallback>(std::move(done));
  env::Task task = [this, shared] { TakeCapture(std::move(*shared)); };
  if (!PostFromOutside(task)) (*shared)(Fail(Stopped()));
}

void LogSequencer::Retain(base::EpochId from) {
  env::Task task = [this, from] {
    const bool wall = options_.clock == ClockMode::kWall;
    retention_->Retain(from, wall ? status().clock : ReadClock());
  };
  (void)PostFromOutside(task);  // once stopped there is nothing to do
}

void LogSequencer::Hold(std::move_only_function<void(base::EpochId)> done) {
  env::Task task = [this, done = std::move(done)]() mutable { done(retention_->Hold()); };
  (void)PostFromOutside(task);
}

void LogSequencer::LetGo() {
  env::Task task = [this] { retention_->LetGo(); };
  (void)PostFromOutside(task);
}

uint64_t LogSequencer::LastSequence(base::StreamId stream, const std::string& producer) const {
  const std::lock_guard lock(state_mutex_);
  return admission_.answers().LastSequence(stream, producer, status_.durable);
}

LogStatus LogSequencer::status() const {
  const std::lock_guard lock(state_mutex_);
  return status_;
}

// What was not promised to be on stable storage and might as well be.
Result<void> LogSequencer::SyncAtEnd() {
  if (read_only_ || !segments_ || !segments_->HasActive()) return {};
  if (options_.durability == Durability::kOs) HR_TRY_VOID(segments_->file().Sync());
  return mark_->End(durable_);
}

void LogSequencer::Stop() {
  {
    const std::lock_guard lock(post_mutex_);
    if (stopped_) return;
    stopped_ = true;
  }
  if (!executor_) return;
  for (env::Task& task : std::exchange(before_start_, {})) self_->Post(std::move(task));
  self_->Post([this] { Drain(); });
  executor_.reset();  // returns when everything posted, syncs' replies included, has run
  if (auto synced = SyncAtEnd(); !synced)
    base::LogWarning("log.final_sync_failed", {{"error", synced.error().ToString()}});
  segments_.reset();
  retention_.reset();
  lock_.reset();
}

}  // namespace headrace::log
