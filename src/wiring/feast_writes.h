#pragma once
// Feast's POST /push and POST /write-to-online-store over the log: a frame becomes rows of one
// stream, goes in whole or not at all, and is answered when it is durable.

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>

#include "base/memory_budget.h"
#include "env/executor.h"
#include "ingest/stream_gate.h"
#include "pipeline/definition.h"
#include "protocols/http_router.h"

namespace headrace::wiring {

// What the verbs work on; all of it outlives the server.
struct FeastWriteSources {
  ingest::StreamGate* gate = nullptr;
  base::MemoryBudget* budget = nullptr;
  env::Executor* events = nullptr;                         // where large frames are typed
  std::function<pipeline::PipelineRef()> definition = {};  // in force; from any thread
};

// Mounts both verbs, and both under "/feast" (serving/http/feast_request.h, StatusMode).
void MountFeastWrites(protocols::HttpRouter& router, FeastWriteSources sources);

}  // namespace headrace::wiring
