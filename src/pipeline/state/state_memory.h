#pragma once
// Memory of the online state: charged to the budget, and given back only when no reader can see it any more.

#include <cstddef>
#include <cstdint>
#include <deque>

#include "base/memory_budget.h"
#include "pipeline/aggregates/cells.h"

namespace headrace::pipeline {

// State advances in steps: step n is what readers see after the n-th ViewSet::Apply. 0 is "never".
using Step = uint64_t;

// Applier thread only. Memory that was retired and not collected is freed with it; memory that was not retired is its owner's.
class StateMemory final : public TextMemory {
 public:
  explicit StateMemory(base::MemoryBudget& budget) : budget_(budget) {}
  ~StateMemory() override;
  StateMemory(const StateMemory&) = delete;
  StateMemory& operator=(const StateMemory&) = delete;

  // 16-byte aligned, not initialised.
  void* Allocate(size_t bytes);
  void* AllocateText(size_t bytes) override { return Allocate(bytes); }
  // At once: for memory that no reader has seen.
  void Free(void* memory, size_t bytes);
  // Freed when every reader has reached `step`, the first at which `memory` can't be found.
  void Retire(void* memory, size_t bytes, Step step);
  // Frees what was retired for steps up to `oldest_pinned`.
  void Collect(Step oldest_pinned);
  // Tells the budget what changed since the last time (once a step instead of once an allocation).
  void SettleCharges();

  size_t retired() const { return retired_.size(); }

 private:
  struct Retired {
    void* memory;
    size_t bytes;
    Step step;
  };
  base::MemoryBudget& budget_;
  std::deque<Retired> retired_;  // ascending step
  int64_t unsettled_bytes_ = 0;
  int64_t charged_bytes_ = 0;
};

}  // namespace headrace::pipeline
