#pragma once
// The verbs of all rooms on the one HTTP port.

#include "ingest/stream_gate.h"
#include "protocols/http_router.h"
#include "wiring/engine.h"

namespace headrace::wiring {

// Serving's verbs, POST /streams/{stream}/events and GET /deadletters. Core and gate outlive the server.
void MountVerbs(protocols::HttpRouter& router, Core& core, ingest::StreamGate& gate, DemoFaults faults);

}  // namespace headrace::wiring
