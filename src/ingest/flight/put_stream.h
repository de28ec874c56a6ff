#pragma once
// One DoPut call: record batches in, acknowledgements out.

#include <cstdint>
#include <memory>
#include <string>

#include "base/memory_budget.h"
#include "base/result.h"
#include "ingest/flight/flight_server.h"
#include "ingest/flight/put_acknowledger.h"
#include "ingest/flight/put_window.h"
#include "ingest/stream_gate.h"

namespace arrow {
class RecordBatch;
class Schema;
namespace flight {
class FlightMessageReader;
}  // namespace flight
}  // namespace arrow

namespace headrace::ingest {

// Lives on the gRPC thread of its call; outcomes arrive on the gate's thread and are passed on to
// the acknowledger.
class PutStream {
 public:
  // The references outlive the stream; window and acknowledger may outlive it, as outcomes can
  // arrive after a call was broken.
  PutStream(const FlightServerOptions& options, StreamGate& gate, base::MemoryBudget& budget,
            std::shared_ptr<PutWindow> window, std::shared_ptr<PutAcknowledger> acknowledger,
            arrow::flight::FlightMessageReader& reader);

  // Reads until the client is done and everything is acknowledged, or until the first error, which
  // ends the call.
  base::Result<void> Run();

 private:
  base::Result<void> Open();
  base::Result<void> CheckSchema(const arrow::Schema& schema) const;
  base::Result<void> ReadProducer(const arrow::Schema& schema);
  base::Result<void> Take(const arrow::RecordBatch& batch, std::string_view metadata);
  base::Result<base::MemoryCharge> Charge(uint64_t bytes);
  void Submit(columns::EventBatch batch, uint64_t bytes, base::MemoryCharge charge);
  // gRPC holds a message while we look at the one before it, and nobody can tell it how much it may
  // hold: the stream is charged for two of its largest so far.
  base::Result<void> ChargeMessages(uint64_t message_bytes);

  const FlightServerOptions& options_;
  StreamGate& gate_;
  base::MemoryBudget& budget_;
  std::shared_ptr<PutWindow> window_;
  std::shared_ptr<PutAcknowledger> acknowledger_;
  arrow::flight::FlightMessageReader& reader_;
  base::MemoryCharge messages_;
  StreamHandle stream_;
  std::string producer_;
  columns::Atomicity atomicity_ = columns::Atomicity::kGoodRowsIn;
  uint64_t batches_ = 0;
};

}  // namespace headrace::ingest
