#include "flight_ingest.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/core.h>

#include <thread>

namespace headrace::app {

using base::Error;
using base::ErrorCode;
using base::Fail;

namespace {

uint64_t RowsOf(const arrow::RecordBatch& batch) { return static_cast<uint64_t>(batch.num_rows()); }

}  // namespace

FlightIngest::FlightIngest(const IngestOptions& options, std::string producer,
                           ParquetBatches& batches, Progress& progress)
    : options_(options),
      producer_(std::move(producer)),
      batches_(batches),
      progress_(progress),
      pace_(options.rate, std::chrono::steady_clock::now()),
      backoff_(options.retry_for) {}

base::Result<void> FlightIngest::Run() {
  while (true) {
    const uint64_t rows_before = totals_.rows;
    const base::Result<void> ended = RunConnection();
    if (ended) return {};
    if (totals_.rows > rows_before) backoff_.Progressed();
    if (!MayRepeat(ended.error().code())) return ended;
    const auto wait = backoff_.Failed(std::chrono::steady_clock::now());
    if (wait.count() == 0) {
      return Fail(
          Error(ended.error())
              .With("flight", options_.flight.ToString())
              .With("gave_up_after_s", fmt::format("{}", options_.retry_for.count() / 1'000'000)));
    }
    if (totals_.reconnects++ == 0 || totals_.rows > rows_before)
      progress_.Say(fmt::format("{}{}, trying again",
                                log_.empty() ? "" : "connection lost: ", ended.error().message()));
    std::this_thread::sleep_for(wait);
  }
}

base::Result<void> FlightIngest::RunConnection() {
  broken_.reset();
  HR_TRY(const auto sender,
         FlightSender::Open(options_.flight, options_.stream, producer_, *batches_.schema()));
  HR_TRY_VOID(Greet(sender->greeting()));
  base::Result<void> sent;
  {
    const std::jthread reader([&] { ReadAcknowledgements(*sender); });
    sent = SendAll(*sender);
    sender->DoneSending();
  }
  const base::Result<void> closed = sender->Close();
  if (!sent) return sent;
  if (file_ended_ && pending_.empty()) return {};
  // The server's own reason, if it gave one; else what the reader saw.
  if (broken_ && !MayRepeat(broken_->code())) return Fail(*broken_);
  if (!closed) return closed;
  return Fail(broken_.value_or(Error(ErrorCode::kUnavailable, "the connection broke")));
}

base::Result<void> FlightIngest::Greet(const ingest::Greeting& greeting) {
  if (log_.empty()) {
    log_ = greeting.log;
    return SkipDurable(greeting.last_sequence);
  }
  if (log_ == greeting.log) return {};
  return Fail(
      Error(ErrorCode::kConflict,
            "the server came back with another log: what it acknowledged before is not in it")
          .With("log_before", log_)
          .With("log_now", greeting.log));
}

base::Result<void> FlightIngest::SkipDurable(uint64_t last_sequence) {
  while (sequence_ < last_sequence) {
    HR_TRY(const auto batch, batches_.Next());
    if (batch == nullptr) {
      file_ended_ = true;
      return {};
    }
    ++sequence_;
    totals_.rows += RowsOf(*batch);
    totals_.repeated += RowsOf(*batch);
  }
  return {};
}

base::Result<void> FlightIngest::SendAll(FlightSender& sender) {
  if (!SendAgain(sender)) return {};
  while (!file_ended_) {
    if (!WaitForRoom(sender.greeting().window)) return {};
    HR_TRY(auto batch, batches_.Next());
    if (batch == nullptr) {
      file_ended_ = true;
      break;
    }
    WaitUntilDue();
    rows_sent_ += RowsOf(*batch);
    {
      const std::lock_guard lock(mutex_);
      pending_.push_back({++sequence_, batch, false});
      progress_.Update(totals_.rows);
    }
    if (!sender.Send(*batch, sequence_)) return {};
  }
  WaitUntilAcknowledged();
  return {};
}

// What an earlier connection left unacknowledged. Only this thread adds to `pending_`, and nothing
// is acknowledged meanwhile but its front, so a copy is sent.
bool FlightIngest::SendAgain(FlightSender& sender) {
  std::deque<Pending> again;
  {
    const std::lock_guard lock(mutex_);
    for (Pending& pending : pending_) pending.sent_before = true;
    again = pending_;
  }
  for (const Pending& pending : again)
    if (!sender.Send(*pending.batch, pending.sequence)) return false;
  return true;
}

void FlightIngest::WaitUntilDue() {
  if (!pace_.unlimited()) std::this_thread::sleep_until(pace_.DueTime(rows_sent_));
}

bool FlightIngest::WaitForRoom(size_t window) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return broken_ || pending_.size() < window; });
  return !broken_;
}

bool FlightIngest::WaitUntilAcknowledged() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return broken_ || pending_.empty(); });
  return !broken_;
}

void FlightIngest::ReadAcknowledgements(FlightSender& sender) {
  while (true) {
    const auto ack = sender.ReadAcknowledgement();
    const std::lock_guard lock(mutex_);
    base::Result<void> counted = ack ? Count(*ack) : base::Result<void>(Fail(ack.error()));
    changed_.notify_all();
    if (counted) continue;
    broken_ = std::move(counted).error();
    return;
  }
}

base::Result<void> FlightIngest::Count(const ingest::BatchAcknowledgement& ack) {
  if (pending_.empty() || pending_.front().sequence != ack.sequence) {
    return Fail(ErrorCode::kInternal,
                fmt::format("batch {} was acknowledged out of turn", ack.sequence));
  }
  const Pending& pending = pending_.front();
  const uint64_t rows = RowsOf(*pending.batch);
  totals_.rows += rows;
  totals_.epoch = std::max(totals_.epoch, ack.epoch);
  if (ack.repeat == ingest::Repeat::kRepeated && !pending.sent_before) {
    totals_.repeated += rows;
  } else {
    totals_.accepted += ack.accepted;
    totals_.refused += ack.refused_rows;
    if (totals_.first_refusal.empty() && !ack.first_refusal.empty())
      totals_.first_refusal = fmt::format("batch {}, {}", ack.sequence, ack.first_refusal);
  }
  pending_.pop_front();
  return {};
}

}  // namespace headrace::app
