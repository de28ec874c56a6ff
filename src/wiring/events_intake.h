#pragma once
// Takes the events of HTTP requests in: small bodies where they were read, larger ones on an
// executor of their own, so that typing them does not hold up the lookups of the same I/O thread.

#include <atomic>
#include <cstddef>
#include <memory>

#include "base/memory_budget.h"
#include "env/executor.h"
#include "ingest/stream_gate.h"
#include "protocols/http_message.h"

namespace headrace::wiring {

// Take from the I/O threads. Outlived by all that it is given.
class EventsIntake {
 public:
  // A body of at most these bytes is typed at once, in about 10 us; waking another thread costs
  // more.
  static constexpr size_t kTypedAtOnceBytes = 2048;

  EventsIntake(ingest::StreamGate& gate, base::MemoryBudget& budget, env::Executor& events)
      : gate_(gate), budget_(budget), events_(events) {}

  // Batches reach the gate in the order of the calls of one thread: a small one does not overtake a
  // large one that still waits.
  void Take(protocols::HttpRequest request, protocols::HttpReply reply);

 private:
  ingest::StreamGate& gate_;
  base::MemoryBudget& budget_;
  env::Executor& events_;
  // Posted and not yet at the gate. Shared with the tasks, which may outlive this.
  std::shared_ptr<std::atomic<size_t>> waiting_ = std::make_shared<std::atomic<size_t>>(0);
};

}  // namespace headrace::wiring
