#pragma once
// The gate as one caller sees it: streams that its scopes do not let it push into are refused.

#include "access/access_list.h"
#include "ingest/stream_gate.h"

namespace headrace::ingest {

// Thread-safe as the gate behind it, which outlives it.
class ScopedGate final : public StreamGate {
 public:
  // `caller` null: all streams.
  ScopedGate(StreamGate& behind, access::CallerRef caller)
      : behind_(behind), caller_(std::move(caller)) {}

  base::Result<void> Ready() const override { return behind_.Ready(); }
  // Errors: also kUnauthorized.
  base::Result<StreamHandle> Find(std::string_view stream) const override;
  std::vector<StreamHandle> Streams() const override { return behind_.Streams(); }
  void Submit(columns::EventBatch batch, OutcomeCallback done) override {
    behind_.Submit(std::move(batch), std::move(done));
  }
  uint64_t LastSequence(base::StreamId stream, const std::string& producer) const override {
    return behind_.LastSequence(stream, producer);
  }
  std::string LogName() const override { return behind_.LogName(); }

 private:
  StreamGate& behind_;
  const access::CallerRef caller_;
};

}  // namespace headrace::ingest
