#pragma once
// Holds new batches back while the applier is too far behind the log, so that what is durable but
// not applied stays bounded.

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>

#include "columns/event_batch.h"
#include "log/sequencer.h"

namespace headrace::wiring {

// Thread-safe. Batches leave in the order in which they came.
class HeldBatches {
 public:
  static constexpr size_t kBatchesMax = 4096;         // one more is refused, retryably
  static constexpr uint64_t kBytesMax = 64ULL << 20;  // so is one over these bytes

  // `behind` says whether the applier is too far behind; `pass` hands a batch on to the log.
  HeldBatches(std::function<bool()> behind,
              std::function<void(columns::EventBatch, log::AckCallback)> pass)
      : behind_(std::move(behind)), pass_(std::move(pass)) {}

  void Take(columns::EventBatch batch, log::AckCallback done);
  // The applier moved on: passes what may go now.
  void Release();
  // From now on batches are refused as kUnavailable; what is held is passed on.
  void Close();

 private:
  void PassFront();

  std::function<bool()> behind_;
  std::function<void(columns::EventBatch, log::AckCallback)> pass_;
  std::mutex mutex_;
  std::deque<std::pair<columns::EventBatch, log::AckCallback>> held_;
  uint64_t held_bytes_ = 0;
  bool closed_ = false;
};

}  // namespace headrace::wiring
