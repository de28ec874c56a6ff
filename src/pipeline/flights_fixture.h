#pragma once
// The flights pipeline and its contract in small, for tests.

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>

#include "pipeline/pipeline_file.h"

namespace headrace::pipeline {

inline constexpr std::string_view kFlightsContract = R"(apiVersion: v3.1.0
kind: DataContract
id: flights
version: 1.0.0
status: active
schema:
  - name: flights
    logicalType: object
    properties:
      - {name: flight_id, logicalType: integer, required: true, primaryKey: true, unique: true}
      - {name: date, logicalType: timestamp, required: true}
      - {name: landed_at, logicalType: timestamp, required: true}
      - {name: delay, logicalType: integer, required: true}
      - {name: distance, logicalType: integer, required: true, logicalTypeOptions: {minimum: 1}}
      - {name: origin, logicalType: string, required: true}
      - {name: destination, logicalType: string, required: true}
      - {name: fuel, logicalType: number}
      - {name: seen_at, logicalType: timestamp}
)";

inline constexpr std::string_view kFlightsPipeline = R"(headrace: 1
pipeline: flights
promise: {budget: {p99: 200ms}, outside: {network: 15ms}}
clock: events
streams:
  flights:
    contract: contracts/flights.yaml
    source: {flight: push}
    time: {event: landed_at, late: 1d}
views:
  origin:
    from: flights
    by: origin
    over: [1h, 6h, 24h]
    features:
      flights: count(*)
      mean_delay: avg(delay)
      max_delay: max(delay)
      late_share: share(delay > 15)
      p90_delay: quantile(delay, 0.9)
      air_hours: sum(distance / 480.0)
  route:
    from: flights
    by: [origin, destination]
    over: [7d, 24h]
    features: {flights: count(*), mean_delay: avg(delay)}
  origin_last:
    from: flights
    by: origin
    features: {last_delay: last(delay), last_destination: last(destination)}
on_request: {delay_trend: origin.mean_delay_1h - origin.mean_delay_24h}
services: {departure: {features: [origin.*, route.*, origin_last.*, delay_trend]}}
tables: {flights: {commit: 2s}}
)";

inline FileSource Files(std::map<std::string, std::string> files) {
  return [files = std::move(files)](const std::string& name) -> base::Result<std::string> {
    const auto found = files.find(name);
    if (found == files.end())
      return base::Fail(base::ErrorCode::kNotFound, "there is no such file");
    return found->second;
  };
}

inline FileSource FlightFiles() {
  return Files({{"contracts/flights.yaml", std::string(kFlightsContract)}});
}

inline CheckedPipeline Check(std::string_view text) {
  return CheckPipeline("pipeline.yaml", text, FlightFiles());
}

inline std::string Rendered(std::string_view text) {
  std::string all;
  for (const contract::Diagnostic& d : Check(text).diagnostics)
    all += Render(d, d.file == "pipeline.yaml" ? text : kFlightsContract);
  return all;
}

// The flights pipeline with `what` in place of `old`.
inline std::string With(std::string_view old, std::string_view what) {
  std::string text(kFlightsPipeline);
  const size_t at = text.find(old);
  EXPECT_NE(at, std::string::npos) << old;
  return text.replace(at, old.size(), what);
}

}  // namespace headrace::pipeline
