#pragma once
// An IngestOutcome as JSON: what an HTTP reply and a Flight acknowledgement say about a batch.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ingest/stream_gate.h"

namespace headrace::ingest {

// Appends the members, without braces, so that a caller can put its own before them:
//   "accepted":n,"refused_rows":n,"refused":[{"row":i,"field":..,"rule":..,"reason":..},..],"epoch":n,"durability":"fsync","repeated":false
// At most `refused_max` refused rows are listed; refused_rows counts them all.
void AppendOutcomeMembers(std::string& out, const IngestOutcome& outcome, size_t refused_max);

// A refused row, likewise: "row":i,"field":..,"rule":..,"reason":..
void AppendRefusal(std::string& out, uint32_t row, std::string_view field, std::string_view rule,
                   std::string_view reason);

}  // namespace headrace::ingest
