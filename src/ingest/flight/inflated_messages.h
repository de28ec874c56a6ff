#pragma once
// Memory that Arrow takes beside a message while it reads it. The bodies of record batches and
// dictionaries may be compressed, and 100 KB can say that they are gigabytes: what they become is
// charged before it is made.
//
// Arrow's server reads with IpcReadOptions::Defaults() and lets nobody say otherwise, so this
// defines that function in Arrow's place: bodies are inflated on the thread that reads them, into
// memory of the scope below. Clients in this process read the same way, and are charged nothing.

#include "base/memory_budget.h"

namespace headrace::ingest {

// While one lives, what is inflated on its thread is charged to `budget` (MemoryAccount::kArrow)
// for as long as it is there; what the budget can't hold is an arrow::Status of code OutOfMemory.
// `budget` outlives the batches that were read. One at a time on a thread.
class InflatedMessages {
 public:
  explicit InflatedMessages(base::MemoryBudget& budget);
  ~InflatedMessages();
  InflatedMessages(const InflatedMessages&) = delete;
};

}  // namespace headrace::ingest
