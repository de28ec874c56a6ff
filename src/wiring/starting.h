#pragma once
// What an engine answers between its first byte and the end of its recovery: that it lives, that it
// is not ready, and how far it is.

#include <atomic>
#include <string>

#include "ingest/stream_gate.h"
#include "log/recovery_progress.h"
#include "protocols/http_router.h"

namespace headrace::wiring {

// "reading the log: 312 of 820 MB, 5100000 rows at 2100000/s, about 3 s left"; of a snapshot
// "reading the snapshot: 168 of 431 MB at 210 MB/s, about 2 s left".
std::string ProgressText(const log::RecoveryFigures& figures);

// GET /health answers 200, /status the progress, everything else 503 with the progress and a
// Retry-After. `progress` outlives the router.
void MountStarting(protocols::HttpRouter& router, const std::string& pipeline,
                   const log::RecoveryProgress& progress);

// A gate that answers kUnavailable until the one behind it is there. Thread-safe.
class StartingGate final : public ingest::StreamGate {
 public:
  explicit StartingGate(const log::RecoveryProgress& progress) : progress_(progress) {}
  // `behind` outlives every call.
  void Open(ingest::StreamGate& behind) { behind_.store(&behind, std::memory_order_release); }

  base::Result<void> Ready() const override;
  base::Result<ingest::StreamHandle> Find(std::string_view stream) const override;
  std::vector<ingest::StreamHandle> Streams() const override;
  void Submit(columns::EventBatch batch, ingest::OutcomeCallback done) override;
  uint64_t LastSequence(base::StreamId stream, const std::string& producer) const override;
  std::string LogName() const override;

 private:
  ingest::StreamGate* behind() const { return behind_.load(std::memory_order_acquire); }

  const log::RecoveryProgress& progress_;
  std::atomic<ingest::StreamGate*> behind_{nullptr};
};

}  // namespace headrace::wiring
