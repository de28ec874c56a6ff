#pragma once
// The verbs of all rooms on the one HTTP port.

#include <memory>

#include "env/executor.h"
#include "ingest/stream_gate.h"
#include "protocols/http_router.h"
#include "wiring/engine.h"

namespace headrace::wiring {

class LookbackQuestions;

// Serving's verbs, POST /streams/{stream}/events and GET /deadletters. Rows are typed, and dead
// letters read, on `events`: a large body must not hold up the lookups of its I/O thread. Core,
// gate and executor outlive the server. `questions`: those about the past, when others ask them,
// too.
void MountVerbs(protocols::HttpRouter& router, Core& core, ingest::StreamGate& gate,
                env::Executor& events, DemoFaults faults,
                std::shared_ptr<LookbackQuestions> questions = nullptr);

}  // namespace headrace::wiring
