#pragma once
// Scans of streams over Arrow Flight: tickets and commands are scan requests
// (tables/scan/scan_request.h; docs/reference/flight.md).

#include <functional>
#include <memory>
#include <string>

#include "ingest/flight/flight_reads.h"
#include "wiring/table_scans.h"

namespace headrace::wiring {

// Thread-safe; outlived by the scans.
class FlightScans final : public ingest::FlightReads {
 public:
  explicit FlightScans(TableScans& scans) : scans_(scans) {}
  base::Result<Offer> MakeOffer(const std::string& command) override;
  base::Result<std::unique_ptr<ingest::FlightRows>> Open(const std::string& ticket,
                                                         std::function<bool()> gone) override;

 private:
  TableScans& scans_;
};

}  // namespace headrace::wiring
