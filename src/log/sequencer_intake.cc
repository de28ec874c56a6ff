// LogSequencer, first half: from a submission to the gathering epoch.

#include <algorithm>

#include <fmt/core.h>

#include "columns/conform.h"
#include "columns/position.h"
#include "columns/schema_evolution.h"
#include "log/epoch_codec.h"
#include "log/log_sequencer.h"
#include "log/record.h"
#include "log/replay_entry.h"

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
    // It waited for room. First: if it gets none, nothing is taken behind it.
    if (in_flight_ && !in_flight_->written && !in_flight_->waits) WriteInFlight();
    while (!waiting_controls_.empty() && AdmitControlFront() == Step::kTaken) {
    }
    while (!waiting_.empty() && AdmitFront() == Step::kTaken) {
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
// replaced by the log's. A batch that was checked before a change of the schema lacks what was
// added.
Result<void> AdoptSchema(ColumnBatch& rows, const StreamEntry& stream) {
  if (rows.schema() == stream.schema || rows.schema() == nullptr) return {};
  const auto& fields = rows.schema()->fields();
  const auto& wanted = stream.schema->fields();
  const auto same = [](const columns::Field& a, const columns::Field& b) {
    return a.name == b.name && a.type == b.type;
  };
  if (std::equal(fields.begin(), fields.end(), wanted.begin(), wanted.end(), same)) {
    rows = ColumnBatch(stream.schema, rows.rows(), rows.columns());
    return {};
  }
  if (!columns::EvolutionOf(*rows.schema(), *stream.schema).possible())
    return Fail(ErrorCode::kInvalidInput,
                fmt::format("the batch does not have the columns of stream `{}`", stream.name));
  rows = columns::ConformTo(stream.schema, rows);
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
  std::optional<base::Error> refusal = Closed();
  if (!refusal && !repeat) refusal = repeat.error();
  const Stream* stream = nullptr;
  if (!refusal) {
    if (auto checked = CheckBatch(front.batch))
      stream = *checked;
    else
      refusal = checked.error();
  }
  if (!refusal) {
    // It takes more than when it was charged if it got the columns of a newer schema.
    const uint64_t texts = BytesAsTexts(front.batch, *stream);
    const uint64_t bytes = std::max({front.bytes, BytesOf(front.batch), texts});
    if (!FitsPending(front, bytes)) return Step::kWait;
    Step step = Step::kTaken;
    refusal = RefusalForRoom(bytes, SegmentStore::Use::kRows, step);
    if (step == Step::kWait) return step;
    if (!refusal)
      if (auto charged = ChargeTexts(front, texts); !charged) refusal = std::move(charged).error();
  }
  if (refusal) {
    RefuseBatch(take(), *std::move(refusal));
  } else {
    AdmitBatch(take(), *stream);
  }
  return Step::kTaken;
}

// Looked at only where it may be much. A batch that the contract spoilt is refused as it is.
uint64_t LogSequencer::BytesAsTexts(const EventBatch& batch, const Stream& stream) {
  constexpr uint64_t kBesideName = 8;   // quotes, colon, comma, null
  constexpr uint64_t kBesideRow = 256;  // its reason, and what holds it
  const bool spoilt = batch.atomicity == columns::Atomicity::kAllOrNone && !batch.rejected.empty();
  const uint64_t rows = batch.rows.rows();
  if (rows == 0 || spoilt) return 0;
  uint64_t row = kBesideRow + batch.origin.size() + batch.rows.ByteSize() / rows;
  for (const columns::Field& field : stream.entry.schema->fields())
    row += field.name.size() + kBesideName;
  if (rows * row <= options_.epoch_bytes_max) return 0;
  return row * admission_.WouldRefuse(batch, stream.timing, ClockNow());
}

Result<void> LogSequencer::ChargeTexts(Submission& submission, uint64_t texts) {
  if (texts <= submission.bytes + submission.texts_charge.bytes()) return {};
  if (texts > options_.queue_bytes_max)
    return Fail(base::Error(ErrorCode::kInvalidInput,
                            "the rows of the batch that are too late or too early may be larger, "
                            "as the texts that they are kept as, than log.queue_bytes_max: split "
                            "it")
                    .With("bytes", std::to_string(texts))
                    .With("queue_bytes_max", std::to_string(options_.queue_bytes_max)));
  HR_TRY(submission.texts_charge,
         budget_.TryCharge(base::MemoryAccount::kLog, texts - submission.bytes));
  return {};
}

bool LogSequencer::FitsPending(const Submission& submission, uint64_t bytes) const {
  if (pending_.empty()) return true;
  return pending_.rows() + submission.batch.rows.rows() <=
             std::min(options_.epoch_rows_max, columns::Position::kRowsMax) &&
         pending_.bytes() + bytes <= options_.epoch_bytes_max;
}

// What is taken behind an epoch that waits for space is not answered before that.
std::optional<base::Error> LogSequencer::Closed() const {
  if (read_only_) return read_only_;
  return in_flight_ ? in_flight_->waits : std::nullopt;
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
  if (!MayEvolve(front.evolving)) return Step::kWait;
  uint64_t bytes = front.entry.payload.size() + front.entry.name.size() + kRecordAlignment;
  // In the epoch, and in every preface from then on.
  for (const StreamSpec& stream : front.evolving)
    bytes += 2 * EncodedBytesMax({}, std::vector{StreamEntry{{}, stream.name, stream.schema, 0}});
  Step step = Step::kTaken;
  std::optional<base::Error> refusal = Closed();
  if (!refusal) refusal = RefusalForRoom(bytes, SegmentStore::Use::kControl, step);
  if (step == Step::kWait) return step;
  ControlWaiter waiter = std::move(front);
  waiting_controls_.pop_front();
  if (!refusal)
    if (auto evolved = EvolveStreams(waiter.evolving); !evolved)
      refusal = std::move(evolved).error();
  if (!refusal) {
    pending_.Add(std::move(waiter.entry), std::move(waiter.done));
  } else if (waiter.done) {
    waiter.done(Fail(*std::move(refusal)));
  }
  return Step::kTaken;
}

// All rows that an epoch has of a stream are of one schema; and the record that is being written
// names the streams as they were when it was sealed.
bool LogSequencer::MayEvolve(const std::vector<StreamSpec>& streams) const {
  if (streams.empty() || Closed()) return true;
  if (in_flight_ && !in_flight_->written) return false;
  return std::ranges::none_of(streams, [this](const StreamSpec& stream) {
    const StreamEntry* known = catalogue_.Find(stream.name);
    return known != nullptr && pending_.RowsOf(known->id) > 0;
  });
}

Result<void> LogSequencer::EvolveStreams(const std::vector<StreamSpec>& streams) {
  std::vector<StreamEntry> changed;
  for (const StreamSpec& stream : streams) {
    if (catalogue_.Find(stream.name) == nullptr)
      return Fail(ErrorCode::kNotFound, fmt::format("no stream `{}` in the log", stream.name));
    SchemaChange change = SchemaChange::kNone;
    HR_TRY(StreamEntry entry, Successor(stream, change));
    changed.push_back(std::move(entry));
  }
  for (size_t i = 0; i < streams.size(); ++i) {
    pending_.Add({ControlEntry::Kind::kStream, streams[i].name, EncodeStreamEntry(changed[i])},
                 nullptr);
    PutStream(std::move(changed[i]), streams[i].timing);
  }
  return {};
}

ClockReading LogSequencer::ClockNow() {
  const base::Timestamp steady = ReadClock();
  return {options_.clock == ClockMode::kWall ? steady : base::Timestamp::Min(), steady};
}

void LogSequencer::AdmitBatch(Submission submission, const Stream& stream) {
  if (submission.batch.request_rows() == 0) pending_.AddHeartbeat(stream.entry.name);
  const ClockReading now = ClockNow();
  std::unique_lock lock(state_mutex_);
  Admitted admitted =
      admission_.Admit(submission.batch, stream.timing,
                       {pending_.id(), pending_.RowsOf(submission.batch.stream)}, durable_, now);
  lock.unlock();
  if (const auto& letters = submission.batch.replay.letters; !letters.empty())
    pending_.Add(EncodeReplay(stream.entry.name, letters), nullptr);
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
