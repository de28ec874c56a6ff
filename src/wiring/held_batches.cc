#include "wiring/held_batches.h"

#include <fmt/format.h>

namespace headrace::wiring {

using base::ErrorCode;

void HeldBatches::Take(columns::EventBatch batch, log::AckCallback done) {
  std::unique_lock lock(mutex_);
  if (closed_) {
    lock.unlock();
    done(base::Fail(ErrorCode::kUnavailable,
                    "the engine is stopping: send the batch again when it is back"));
    return;
  }
  if (held_.empty() && !behind_()) {
    pass_(std::move(batch), std::move(done));
    return;
  }
  const uint64_t bytes = batch.rows.ByteSize();
  if (held_.size() >= kBatchesMax || held_bytes_ + bytes > kBytesMax) {
    const size_t count = held_.size();
    lock.unlock();
    done(base::Fail(
        ErrorCode::kResourceExhausted,
        fmt::format("{} batches wait for the views to catch up: back off, then send it again",
                    count)));
    return;
  }
  held_bytes_ += bytes;
  held_.emplace_back(std::move(batch), std::move(done));
}

void HeldBatches::Release() {
  const std::lock_guard lock(mutex_);
  while (!held_.empty() && !behind_()) PassFront();
}

void HeldBatches::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  while (!held_.empty()) PassFront();
}

void HeldBatches::PassFront() {
  auto [batch, done] = std::move(held_.front());
  held_.pop_front();
  held_bytes_ -= batch.rows.ByteSize();
  pass_(std::move(batch), std::move(done));
}

}  // namespace headrace::wiring
