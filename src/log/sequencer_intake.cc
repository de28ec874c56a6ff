// LogSequencer, first half: from a submission to the gathering epoch.

#include <algorithm>

#include <fmt/core.h>

#include "columns/position.h"
#include "log/log_sequencer.h"
#include "log/record.h"

namespace headrace::log {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::ColumnBatch;
using columns::EventBatch;

void LogSequencer::TakeBatch(Submission submission) {
  waiting_.push_back(std::move(submission));
  Pump();
}

void LogSequencer::TakeControl(ControlWaiter waiter) {
  waiting_controls_.push_back(std::move(waiter));
  Pump();
}

void LogSequencer::Pump() {
  if (!started_) return;
  while (true) {
    while (!waiting_controls_.empty() && AdmitControlFront() == Step::kTaken) {
    }
    while (!waiting_.empty() && AdmitFront() == Step::kTaken) {
    }
    if (in_flight_ && !in_flight_->written) {
      WriteInFlight();  // it waited for room
    }
    if (in_flight_ || pending_.empty() || read_only_) return;
    Seal();
    WriteInFlight();
  }
}

namespace {

Result<void> CheckSize(const ColumnBatch& rows) {
  if (rows.rows() < columns::Position::kRowsMax) return {};
  return Fail(ErrorCode::kInvalidInput,
              fmt::format("a batch of {} rows is too large for an epoch: split it", rows.rows()));
}

// The contract's schema and the log's differ in field ids only: what the batch was made by is
// replaced by the log's.
Result<void> AdoptSchema(ColumnBatch& rows, const StreamEntry& stream) {
  if (rows.schema() == stream.schema || rows.schema() == nullptr) return {};
  const auto& fields = rows.schema()->fields();
  const auto& wanted = stream.schema->fields();
  const bool same = std::equal(fields.begin(), fields.end(), wanted.begin(), wanted.end(),
                               [](const columns::Field& a, const columns::Field& b) {
                                 return a.name == b.name && a.type == b.type;
                               });
  if (!same)
    return Fail(ErrorCode::kInvalidInput,
                fmt::format("the batch does not have the columns of stream `{}`", stream.name));
  rows = ColumnBatch(stream.schema, rows.rows(), rows.columns());
  return {};
}

}  // namespace

Result<const LogSequencer::Stream*> LogSequencer::CheckBatch(EventBatch& batch) const {
  const uint32_t id = batch.stream.value;
  if (id >= streams_.size() || !streams_[id])
    return Fail(ErrorCode::kInvalidInput, fmt::format("no stream has id {}", id));
  HR_TRY_VOID(CheckSize(batch.rows));
  HR_TRY_VOID(AdoptSchema(batch.rows, streams_[id]->entry));
  return &*streams_[id];
}

LogSequencer::Step LogSequencer::AdmitFront() {
  Submission& front = waiting_.front();
  const auto take = [&] {
    Submission taken = std::move(waiting_.front());
    waiting_.pop_front();
    return taken;
  };
  auto repeat = admission_.FindRepeat(front.batch);
  if (repeat && *repeat) {
    AnswerRepeat(take(), **repeat);
    return Step::kTaken;
  }
  std::optional<base::Error> refusal = read_only_;
  if (!refusal && !repeat) refusal = repeat.error();
  const Stream* stream = nullptr;
  if (!refusal) {
    if (auto checked = CheckBatch(front.batch))
      stream = *checked;
    else
      refusal = checked.error();
  }
  if (!refusal) {
    if (!FitsPending(front)) return Step::kWait;
    Step step = Step::kTaken;
    refusal = RefusalForRoom(front.bytes, SegmentStore::Use::kRows, step);
    if (step == Step::kWait) return step;
  }
  if (refusal) {
    RefuseBatch(take(), *std::move(refusal));
  } else {
    AdmitBatch(take(), *stream);
  }
  return Step::kTaken;
}

bool LogSequencer::FitsPending(const Submission& submission) const {
  if (pending_.empty()) return true;
  return pending_.rows() + submission.batch.rows.rows() <=
             std::min(options_.epoch_rows_max, columns::Position::kRowsMax) &&
         pending_.bytes() + submission.bytes <= options_.epoch_bytes_max;
}

std::optional<base::Error> LogSequencer::RefusalForRoom(uint64_t bytes, SegmentStore::Use use,
                                                        Step& step) {
  const uint64_t record_bytes = RecordBytes(pending_.bytes() + bytes + preface_bytes_);
  const uint64_t waiting_bytes = in_flight_ && !in_flight_->written ? in_flight_->bytes_max : 0;
  const uint64_t reserve = use == SegmentStore::Use::kRows
                               ? std::min(options_.reserve_bytes, options_.log_bytes_max / 4)
                               : 0;
  if (log_bytes_ + waiting_bytes + record_bytes + reserve > options_.log_bytes_max)
    return base::Error(ErrorCode::kStorageFull,
                       "log.bytes_max is reached: raise it, or start a new log")
        .With("log_bytes", std::to_string(log_bytes_))
        .With("log_bytes_max", std::to_string(options_.log_bytes_max));
  switch (segments_->RoomFor(record_bytes + waiting_bytes, use)) {
    case SegmentStore::Room::kHere: return std::nullopt;
    case SegmentStore::Room::kPreparing: step = Step::kWait; return std::nullopt;
    case SegmentStore::Room::kNone: return segments_->error();
  }
  return std::nullopt;
}

LogSequencer::Step LogSequencer::AdmitControlFront() {
  ControlWaiter& front = waiting_controls_.front();
  const uint64_t bytes = front.entry.payload.size() + front.entry.name.size() + kRecordAlignment;
  Step step = Step::kTaken;
  std::optional<base::Error> refusal = read_only_;
  if (!refusal) refusal = RefusalForRoom(bytes, SegmentStore::Use::kControl, step);
  if (step == Step::kWait) return step;
  ControlWaiter waiter = std::move(front);
  waiting_controls_.pop_front();
  if (!refusal) {
    pending_.Add(std::move(waiter.entry), std::move(waiter.done));
  } else if (waiter.done) {
    waiter.done(Fail(*std::move(refusal)));
  }
  return Step::kTaken;
}

void LogSequencer::AdmitBatch(Submission submission, const Stream& stream) {
  if (submission.batch.request_rows() == 0) pending_.AddHeartbeat(stream.entry.name);
  const base::Timestamp steady = ReadClock();
  const ClockReading now{options_.clock == ClockMode::kWall ? steady : base::Timestamp::Min(),
                         steady};
  std::unique_lock lock(state_mutex_);
  Admitted admitted =
      admission_.Admit(submission.batch, stream.timing,
                       {pending_.id(), pending_.RowsOf(submission.batch.stream)}, durable_, now);
  lock.unlock();
  pending_.Add(std::move(admitted), std::move(submission));
}

void LogSequencer::AnswerRepeat(Submission submission, const StoredAnswer& answer) {
  {
    const std::lock_guard lock(state_mutex_);
    ++status_.batches_repeated;
  }
  BatchWaiter waiter{std::move(submission), answer, Acknowledgement::Repeat::kRepeated};
  if (answer.epoch <= durable_) {
    AnswerBatch(waiter);
  } else if (read_only_) {
    RefuseBatch(std::move(waiter.submission), *read_only_);  // its epoch failed
  } else if (answer.epoch == pending_.id()) {
    pending_.AddWaiter(std::move(waiter));
  } else {
    HR_CHECK(in_flight_ && in_flight_->epoch->id == answer.epoch, "a repeat of no known epoch");
    in_flight_->waiters.AddWaiter(std::move(waiter));
  }
}

void LogSequencer::RefuseBatch(Submission submission, base::Error error) {
  SettleCharges(submission);
  submission.done(Fail(std::move(error)));
}

void LogSequencer::SettleCharges(const Submission& submission) {
  // What was refused by Charge itself holds no charge.
  if (submission.charge.bytes() > 0) queued_bytes_.fetch_sub(submission.bytes);
}

}  // namespace headrace::log
