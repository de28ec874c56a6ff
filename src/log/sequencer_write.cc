// LogSequencer, second half: from the gathering epoch to a durable one.

#include <algorithm>

#include "base/log.h"
#include "log/epoch_codec.h"
#include "log/log_folder.h"
#include "log/log_sequencer.h"
#include "log/record.h"

namespace headrace::log {

using base::ErrorCode;
using base::Fail;
using base::Result;

namespace {

constexpr env::MonotonicTime kRetryAfter = std::chrono::seconds(1);

uint64_t MicrosecondsOf(env::MonotonicTime span) {
  return static_cast<uint64_t>(std::chrono::duration_cast<base::Duration>(span).count());
}

bool TellsOfStreams(const Epoch& epoch) {
  return std::any_of(epoch.controls.begin(), epoch.controls.end(), [](const ControlEntry& control) {
    return control.kind == ControlEntry::Kind::kStream;
  });
}

}  // namespace

base::Timestamp LogSequencer::ReadClock() {
  env::Clock& clock = environment_.clock();
  return clock_->Read(clock.Now(), clock.Wall());
}

void LogSequencer::Seal() {
  environment_.CrashPoint("log.before_seal");
  SealTimes times;
  times.sealed_at = ReadClock();
  times.clock = options_.clock == ClockMode::kWall ? times.sealed_at : admission_.newest();
  {
    const std::lock_guard lock(state_mutex_);
    times.visible_through = visible_through_;
    times.visible_at = visible_at_;
  }
  auto epoch = std::make_shared<const Epoch>(pending_.Seal(times));
  const uint64_t bytes_max = RecordBytes(EncodedBytesMax(*epoch, catalogue_.entries()));
  const base::EpochId next = pending_.id().Next();
  in_flight_.emplace(InFlight{std::move(pending_), std::move(epoch), bytes_max});
  pending_ = PendingEpoch(next);
  {
    const std::lock_guard lock(state_mutex_);
    admission_.EndEpoch(times.sealed_at);
  }
  OnSealed();
  environment_.CrashPoint("log.after_seal");
}

// Room was found before the rows were admitted; it can still be missing when rows became longer
// refusals. Then the epoch waits, and whatever comes is refused, until there is space.
void LogSequencer::WriteInFlight() {
  switch (segments_->RoomFor(in_flight_->bytes_max, SegmentStore::Use::kControl)) {
    case SegmentStore::Room::kHere: break;
    case SegmentStore::Room::kPreparing: return;
    case SegmentStore::Room::kNone: return RetryLater(segments_->error());
  }
  auto written = WriteRecord();
  if (written) return;
  if (written.error().code() != ErrorCode::kStorageFull) return BecomeReadOnly(written.error());
  RetryLater(written.error());
}

void LogSequencer::RetryLater(const base::Error& error) {
  if (draining_) {
    read_only_ = error;       // what was admitted can't be taken back
    return RefuseAll(error);  // Drain has ended a capture under way
  }
  in_flight_->waits = error;
  if (capture_ && capture_->head && !capture_->settled)
    EndCapture(Fail(error));  // it would wait as long
  if (std::exchange(retry_is_posted_, true)) return;
  self_->PostAt(environment_.clock().Now() + kRetryAfter, [this] {
    retry_is_posted_ = false;
    TryInFlightAgain();
  });
}

void LogSequencer::TryInFlightAgain() {
  if (in_flight_) in_flight_->waits.reset();
  Pump();
}

Result<void> LogSequencer::WriteRecord() {
  if (auto made = segments_->MakeRoom(in_flight_->bytes_max, in_flight_->epoch->id); !made) {
    // Not retried even on a full disk: whether the segment's name is on stable storage is unknown.
    return Fail(base::Error(ErrorCode::kIoError, made.error().message()));
  }
  if (segments_->offset() == 0) {
    const base::EpochId first = in_flight_->epoch->id;
    retention_->BeginSegment(first, SegmentPath(folder_, first));
  }
  EncodeRecord();
  environment_.CrashPoint("log.before_write");
  HR_TRY_VOID(segments_->file().WriteAt(segments_->offset(), record_));
  environment_.CrashPoint("log.after_write");
  in_flight_->written = true;
  const uint64_t offset = segments_->offset();
  segments_->Advance(in_flight_->bytes);
  log_bytes_ += in_flight_->bytes;
  bytes_written_ += in_flight_->bytes;
  retention_->Grow(in_flight_->bytes);
  if (options_.durability == Durability::kOs) {
    self_->Post([this] { OnSynced({}); });
    return {};
  }
  const env::MonotonicTime begin = environment_.clock().Now();
  // The bytes are written: what remains is the sync, whose time is measured here (the real file
  // syncs before it returns).
  segments_->file().WriteAndSync(offset, {}, *self_,
                                 [this](Result<void> synced) { OnSynced(synced); });
  sync_us_.Record(MicrosecondsOf(environment_.clock().Now() - begin));
  return {};
}

void LogSequencer::EncodeRecord() {
  const Epoch& epoch = *in_flight_->epoch;
  const bool begins_segment = segments_->offset() == 0;
  const auto preface = begins_segment ? std::span<const StreamEntry>(catalogue_.entries())
                                      : std::span<const StreamEntry>();
  const uint64_t kept_max = 2 * options_.epoch_bytes_max;
  if (record_.capacity() > kept_max && in_flight_->bytes_max <= kept_max)
    record_ = std::vector<uint8_t>();
  record_.clear();
  record_.reserve(in_flight_->bytes_max);
  record_.resize(kRecordHeaderBytes, 0);
  columns::ByteWriter out(record_);
  EncodeEpoch(epoch, preface, out);
  RecordHeader header{.epoch = epoch.id, .log = log_, .previous_checksum = last_checksum_};
  if (begins_segment || TellsOfStreams(epoch)) header.flags |= kChangesCatalogue;
  if (!begins_segment && options_.durability == Durability::kOs) header.flags |= kPreviousUnsynced;
  in_flight_->checksum = SealRecord(header, record_);
  in_flight_->bytes = record_.size();
  HR_CHECK(record_.size() <= in_flight_->bytes_max, "a record is longer than its bound");
}

void LogSequencer::OnSynced(const Result<void>& synced) {
  if (!synced) return BecomeReadOnly(synced.error());
  if (read_only_) return;  // a capture's sync failed meanwhile: its waiters have their answer
  environment_.CrashPoint("log.after_sync");
  InFlight done = *std::move(in_flight_);
  in_flight_.reset();
  durable_ = done.epoch->id;
  last_checksum_ = done.checksum;
  environment_.CrashPoint("log.before_mark");
  SetMark(durable_);
  environment_.CrashPoint("log.after_mark");
  PublishDurable(done);
  SettleCapture(done.epoch.get());
  if (on_durable_) on_durable_(done.epoch);
  environment_.CrashPoint("log.before_ack");
  AnswerWaiters(done.waiters, nullptr);
  environment_.CrashPoint("log.after_ack");
  Pump();
}

// A reader that misses a mark sees the epoch a little later; a full disk may refuse the file's
// first bytes.
void LogSequencer::SetMark(base::EpochId epoch) {
  if (auto marked = mark_->Set(epoch); !marked)
    base::LogWarning("log.mark_failed", {{"error", marked.error().ToString()}});
}

void LogSequencer::PublishDurable(const InFlight& done) {
  ChargeAdmissionState();
  PublishRetention();
  const std::lock_guard lock(state_mutex_);
  status_.durable = durable_;
  status_.clock = done.epoch->clock;
  for (const StreamRows& rows : done.epoch->streams) status_.rows_accepted += rows.rows.rows();
  for (const StreamRejects& rejects : done.epoch->rejects)
    status_.rows_refused += rejects.rows.size();
}

// A full disk or log has room again.
void LogSequencer::OnLetGo(uint64_t freed_bytes) {
  log_bytes_ -= freed_bytes;
  PublishRetention();
  if (freed_bytes == 0) return;
  segments_->TryAgain();
  TryInFlightAgain();
}

void LogSequencer::PublishRetention() {
  Retention::Figures figures = retention_->figures();
  const std::lock_guard lock(state_mutex_);
  status_.log_bytes = log_bytes_;
  status_.bytes_written = bytes_written_;
  status_.first = figures.first;
  status_.segments = figures.segments;
  status_.residue_bytes = figures.residue_bytes;
  status_.refused_forgotten = figures.refused_forgotten;
  status_.refused_from = figures.refused_from;
  status_.retention_error = std::move(figures.error);
}

void LogSequencer::ChargeAdmissionState() {
  const uint64_t bytes = admission_.answers().byte_size();
  budget_.Force(base::MemoryAccount::kLog,
                static_cast<int64_t>(bytes) - static_cast<int64_t>(admission_bytes_charged_));
  admission_bytes_charged_ = bytes;
}

void LogSequencer::AnswerWaiters(PendingEpoch& waiters, const base::Error* error) {
  for (BatchWaiter& waiter : waiters.TakeBatchWaiters()) {
    if (error != nullptr) {
      RefuseBatch(std::move(waiter.submission), *error);
    } else {
      AnswerBatch(waiter);
    }
  }
  for (ControlCallback& done : waiters.TakeControlWaiters()) {
    if (error != nullptr) {
      done(Fail(*error));
    } else {
      done(waiters.id());
    }
  }
}

void LogSequencer::AnswerBatch(BatchWaiter& waiter) {
  Acknowledgement answer;
  answer.epoch = waiter.answer.epoch;
  answer.accepted = waiter.answer.accepted;
  answer.first_row = waiter.answer.first_row;
  answer.first_time = waiter.answer.first_time;
  answer.refused_rows = waiter.answer.refused_rows;
  if (waiter.answer.refused) answer.refused = *waiter.answer.refused;
  answer.repeat = waiter.repeat;
  answer.durability = options_.durability;
  SettleCharges(waiter.submission);
  durable_us_.Record(MicrosecondsOf(environment_.clock().Now() - waiter.submission.submitted_at));
  waiter.submission.done(std::move(answer));
}

void LogSequencer::RefuseAll(const base::Error& error) {
  if (in_flight_) AnswerWaiters(in_flight_->waiters, &error);
  in_flight_.reset();
  AnswerWaiters(pending_, &error);
  pending_ = PendingEpoch(pending_.id());
  for (Submission& submission : std::exchange(waiting_, {}))
    RefuseBatch(std::move(submission), error);
  for (ControlWaiter& waiter : std::exchange(waiting_controls_, {}))
    if (waiter.done) waiter.done(Fail(error));
}

// For good: after a failed sync nobody knows which bytes are on stable storage, and a later success
// would not tell.
void LogSequencer::BecomeReadOnly(const base::Error& error) {
  base::LogError("log.read_only", {{"folder", folder_}, {"error", error.ToString()}});
  read_only_ =
      base::Error(ErrorCode::kIoError,
                  "the log is read-only since a write or sync failed: check the disk, then "
                  "restart")
          .With("cause", error.ToString());
  {
    const std::lock_guard lock(state_mutex_);
    status_.read_only = true;
    status_.read_only_reason = error.ToString();
  }
  RefuseAll(*read_only_);
  EndCapture(Fail(*read_only_));
}

// Nothing may be left to wait for but a sync under way: its reply comes through the mailbox and
// pumps the rest.
void LogSequencer::Drain() {
  draining_ = true;
  if (segments_) segments_->StopPreparing();
  if (retention_) retention_->Stop();
  EndCapture(Fail(ErrorCode::kUnavailable, "the engine is stopping"));
  TryInFlightAgain();
  if (!started_) RefuseAll({ErrorCode::kUnavailable, "the engine is stopping"});
}

}  // namespace headrace::log
