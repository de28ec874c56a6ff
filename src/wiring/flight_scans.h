#pragma once
// Scans of streams over Arrow Flight: tickets and commands are scan requests
// (tables/scan/scan_request.h; docs/reference/flight.md).

#include <functional>
#include <memory>
#include <string>

#include "ingest/flight/flight_reads.h"
#include "pipeline/definition.h"
#include "wiring/table_scans.h"

namespace headrace::wiring {

// Whoever may not see restricted columns gets the others, and is told in the schema's metadata
// which are withheld; asking for one by name, in `columns` or `where`, is kUnauthorized. A scan
// needs `read` for all names. Thread-safe; outlived by the scans.
class FlightScans final : public ingest::FlightReads {
 public:
  using DefinitionNow = std::function<pipeline::PipelineRef()>;
  FlightScans(TableScans& scans, DefinitionNow definition)
      : scans_(scans), definition_(std::move(definition)) {}
  base::Result<Offer> MakeOffer(const std::string& command,
                                const access::CallerRef& caller) override;
  base::Result<std::unique_ptr<ingest::FlightRows>> Open(const std::string& ticket,
                                                         ingest::FlightCaller caller) override;

 private:
  struct Allowed {
    tables::ScanRequest request;
    std::string withheld;  // "card_id, email"
  };
  base::Result<Allowed> Narrow(const std::string& json, const access::CallerRef& caller) const;

  TableScans& scans_;
  const DefinitionNow definition_;
};

}  // namespace headrace::wiring
