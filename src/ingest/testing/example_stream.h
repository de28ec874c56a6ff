#pragma once
// A stream with a contract, for tests of the ways in.

#include <gtest/gtest.h>

#include "ingest/stream_gate.h"

namespace headrace::ingest::testing {

inline constexpr std::string_view kLandingsContract = R"(apiVersion: v3.1.0
kind: DataContract
id: landings
name: landings
version: 1.0.0
status: active
schema:
  - name: landings
    logicalType: object
    properties:
      - {name: id, logicalType: integer, physicalType: int64, required: true}
      - {name: at, logicalType: timestamp, physicalType: timestamp, required: true}
      - {name: origin, logicalType: string, physicalType: string, required: true, logicalTypeOptions: {maxLength: 3}}
      - {name: delay, logicalType: integer, physicalType: int64, logicalTypeOptions: {minimum: -1440, maximum: 2880}}
)";

// Stream `landings` with id 7: id, at and origin (at most 3 letters) required, delay -1440 to 2880
// or null.
inline StreamHandle Landings() {
  const contract::ParsedContract parsed =
      contract::Contract::Parse("landings.yaml", kLandingsContract, "");
  for (const contract::Diagnostic& diagnostic : parsed.diagnostics)
    ADD_FAILURE() << diagnostic.message;
  return {.id = {7}, .name = "landings", .contract = parsed.contract};
}

}  // namespace headrace::ingest::testing
