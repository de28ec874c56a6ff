// LogSequencer, aside: captures of its own state, in slices between other tasks.
//
// Decisions run ahead of the disk, so a capture begins and is frozen where they are exactly those
// up to an epoch: right after a seal, or while nothing gathers. Then it waits for that epoch to be
// durable. answer_copy.h tells why what happens in between does not tear it.

#include <algorithm>

#include "log/log_sequencer.h"

namespace headrace::log {

using base::ErrorCode;
using base::Fail;
using base::Result;

namespace {

constexpr env::MonotonicTime kSliceTime = std::chrono::microseconds(200);
constexpr uint64_t kChargeStepBytes = 1ULL << 20;

}  // namespace

void LogSequencer::TakeCapture(CaptureCallback done) {
  if (read_only_) return done(Fail(*read_only_));
  if (draining_) return done(Fail(ErrorCode::kUnavailable, "the engine is stopping"));
  if (capture_)
    return done(Fail(ErrorCode::kResourceExhausted,
                     "a capture of the log's state is under way: wait for it"));
  capture_ = std::make_unique<Capture>();
  capture_->done = std::move(done);
  capture_->number = ++captures_;
  if (pending_.empty()) BeginCapture();
}

// Nothing gathers: the decisions are exactly those of the epochs up to the one before pending_.
void LogSequencer::OnSealed() {
  if (!capture_) return;
  if (!capture_->answers) return BeginCapture();
  if (!capture_->head && capture_->answers->BaseIsWritten()) FreezeCapture();
}

void LogSequencer::BeginCapture() {
  // Memory that is not written to costs nothing, and a vector that grows would be copied at once.
  capture_->bytes.reserve(admission_.answers().byte_size() + preface_bytes_ + kChargeStepBytes);
  log::BeginCapture(catalogue_.entries(), capture_->bytes);
  capture_->answers = std::make_unique<AnswerCopy>(admission_.answers());
  PostCaptureSlice();
}

void LogSequencer::FreezeCapture() {
  capture_->answers->Freeze();
  capture_->newest = admission_.newest_by_stream();
  capture_->head.emplace();
  capture_->head->log = log_;
  capture_->head->epoch = base::EpochId{pending_.id().value - 1};
  if (!in_flight_) SettleCapture(nullptr);
  PostCaptureSlice();
}

// What is known of the newest durable epoch, when that is the capture's. `epoch`: the one that just
// became durable; null when none did.
void LogSequencer::SettleCapture(const Epoch* epoch) {
  if (!capture_ || !capture_->head || capture_->settled) return;
  CaptureHead& head = *capture_->head;
  HR_CHECK(head.epoch == durable_ && (epoch == nullptr || epoch->id == durable_),
           "a capture's epoch became durable unseen");
  const LogStatus now = status();
  head.record_checksum = last_checksum_;
  head.clock = now.clock;
  head.rows_accepted = now.rows_accepted;
  head.rows_refused = now.rows_refused;
  capture_->settled = true;
  if (capture_->answers->IsWhole()) HandOutCapture();
}

void LogSequencer::PostCaptureSlice() {
  self_->Post([this, number = capture_->number] {
    if (capture_ && capture_->number == number) CaptureSlice();
  });
}

void LogSequencer::CaptureSlice() {
  AnswerCopy& answers = *capture_->answers;
  columns::ByteWriter out(capture_->bytes);
  const uint64_t begin_bytes = out.size();
  const env::MonotonicTime begin = environment_.clock().Now();
  const auto has_more = [&] {
    return answers.frozen() ? !answers.IsWhole() : !answers.BaseIsWritten();
  };
  while (has_more() && out.size() - begin_bytes < options_.capture_slice_bytes &&
         environment_.clock().Now() - begin < kSliceTime)
    answers.WriteNext(out);
  if (auto charged = ChargeCapture(); !charged) return EndCapture(std::move(charged));
  if (has_more()) return PostCaptureSlice();
  if (answers.IsWhole()) {
    if (capture_->settled) HandOutCapture();
  } else if (pending_.empty()) {
    FreezeCapture();
  }
}

Result<void> LogSequencer::ChargeCapture() {
  const uint64_t held = capture_->bytes.size() + capture_->answers->note_bytes();
  while (capture_->charged_bytes < held) {
    HR_TRY(auto charge, budget_.TryCharge(base::MemoryAccount::kLog, kChargeStepBytes));
    capture_->charges.push_back(std::move(charge));
    capture_->charged_bytes += kChargeStepBytes;
  }
  return {};
}

void LogSequencer::HandOutCapture() {
  if (options_.durability == Durability::kFsync || !segments_->HasActive()) return EndCapture({});
  // What was written may be in memory only. A snapshot must not outlive the log under it.
  if (std::exchange(capture_->syncing, true)) return;
  segments_->file().WriteAndSync(
      segments_->offset(), {}, *self_,
      [this, number = capture_->number, through = durable_](Result<void> synced) {
        if (!read_only_ && !synced) {
          BecomeReadOnly(synced.error());
        } else if (!read_only_) {
          mark_->NoteSynced(through);
          SetMark(durable_);
        }
        if (capture_ && capture_->number == number) EndCapture({});
      });
}

void LogSequencer::EndCapture(Result<void> outcome) {
  if (!capture_) return;
  const std::unique_ptr<Capture> ended = std::exchange(capture_, nullptr);
  if (!outcome) return ended->done(Fail(std::move(outcome).error()));
  log::EndCapture(*ended->head, ended->newest, ended->bytes);
  ended->done(StateCapture{ended->head->epoch, std::move(ended->bytes), std::move(ended->charges)});
}

}  // namespace headrace::log
