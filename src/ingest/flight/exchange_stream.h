#pragma once
// One DoExchange call: batches in, a batch out for each, in order.

#include "base/memory_budget.h"
#include "base/result.h"
#include "ingest/flight/flight_reads.h"

namespace arrow::flight {
class FlightMessageReader;
class FlightMessageWriter;
}  // namespace arrow::flight

namespace headrace::ingest {

// Lives on the gRPC thread of its call. A batch is answered and written before the next one is
// read: a client that does not read its answers holds up only itself, and at most one answer waits.
class ExchangeStream {
 public:
  // The references outlive it.
  ExchangeStream(base::MemoryBudget& budget, FlightExchanges& exchanges,
                 arrow::flight::FlightMessageReader& reader,
                 arrow::flight::FlightMessageWriter& writer)
      : budget_(budget), exchanges_(exchanges), reader_(reader), writer_(writer) {}

  // Until the client is done or gone, or until the first error, which ends the call: what was
  // answered before it stands.
  base::Result<void> Run(const FlightCaller& caller);

 private:
  // gRPC holds a message while we look at the one before it: two of the largest so far.
  base::Result<void> ChargeMessages(uint64_t message_bytes);

  base::MemoryBudget& budget_;
  FlightExchanges& exchanges_;
  arrow::flight::FlightMessageReader& reader_;
  arrow::flight::FlightMessageWriter& writer_;
  base::MemoryCharge messages_;
};

}  // namespace headrace::ingest
