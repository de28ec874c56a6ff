#pragma once
// An IngestOutcome as JSON: what an HTTP reply and a Flight acknowledgement say about a batch.

#include <cstddef>
#include <string>

#include "ingest/stream_gate.h"

namespace headrace::ingest {

// Appends the members, without braces, so that a caller can put its own before them:
//   "accepted":n,"refused_rows":n,"refused":[{"row":i,"field":..,"rule":..,"reason":..},..],"epoch":n,"durability":"fsync","repeated":false
// At most `refused_max` refused rows are listed; refused_rows counts them all.
void AppendOutcomeMembers(std::string& out, const IngestOutcome& outcome, size_t refused_max);

}  // namespace headrace::ingest
