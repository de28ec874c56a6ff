#pragma once
// The rooms' verbs on the one Flight server: which of them a ticket or a command is of.

#include <memory>
#include <string>

#include "ingest/flight/flight_reads.h"
#include "serving/flight/key_reads.h"
#include "serving/flight/push_exchange.h"
#include "serving/flight/view_changes.h"
#include "wiring/engine.h"
#include "wiring/flight_scans.h"

namespace headrace::wiring {

// Thread-safe; outlived by the core and the gate.
class FlightVerbs final : public ingest::FlightReads, public ingest::FlightExchanges {
 public:
  FlightVerbs(Core& core, ingest::StreamGate& gate, env::Environment& environment,
              base::MemoryBudget& budget);

  base::Result<Offer> MakeOffer(const std::string& command,
                                const access::CallerRef& caller) override;
  base::Result<std::unique_ptr<ingest::FlightRows>> Open(const std::string& ticket,
                                                         ingest::FlightCaller caller) override;
  base::Result<std::unique_ptr<ingest::FlightExchange>> Open(const std::string& command,
                                                             const arrow::Schema& schema,
                                                             ingest::FlightCaller caller) override;

 private:
  const serving::FlightSources serving_;
  const serving::ChangeSources changes_;
  const serving::FlightPushSources pushes_;
  FlightScans scans_;
};

}  // namespace headrace::wiring
