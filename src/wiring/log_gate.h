#pragma once
// The gate of `ingest` over a running core: streams of the pipeline by name, batches into the log.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/stream_gate.h"
#include "wiring/engine.h"

namespace headrace::wiring {

// Thread-safe; outlived by the core.
class LogGate : public ingest::StreamGate {
 public:
  explicit LogGate(Core& core) : core_(core) {}

  base::Result<ingest::StreamHandle> Find(std::string_view stream) const override;
  std::vector<ingest::StreamHandle> Streams() const override;
  void Submit(columns::EventBatch batch, ingest::OutcomeCallback done) override;
  uint64_t LastSequence(base::StreamId stream, const std::string& producer) const override {
    return core_.LastSequence(stream, producer);
  }
  std::string LogName() const override { return core_.log_status().log.ToString(); }

 private:
  Core& core_;
};

}  // namespace headrace::wiring
