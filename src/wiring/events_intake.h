#pragma once
// Takes the events of HTTP requests in: small bodies where they were read, larger ones on an
// executor of their own, so that typing them does not hold up the lookups of the same I/O thread.

#include "base/memory_budget.h"
#include "env/executor.h"
#include "ingest/stream_gate.h"
#include "ingest/typing_queue.h"
#include "protocols/http_message.h"

namespace headrace::wiring {

// Take from the I/O threads. Outlived by all that it is given.
class EventsIntake {
 public:
  EventsIntake(ingest::StreamGate& gate, base::MemoryBudget& budget, env::Executor& events)
      : gate_(gate), budget_(budget), typing_(events) {}

  // Batches reach the gate in the order of the calls of one thread: a small one does not overtake a
  // large one that still waits.
  void Take(protocols::HttpRequest request, protocols::HttpReply reply);

 private:
  ingest::StreamGate& gate_;
  base::MemoryBudget& budget_;
  ingest::TypingQueue typing_;
};

}  // namespace headrace::wiring
