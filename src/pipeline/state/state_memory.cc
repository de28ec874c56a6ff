#include "pipeline/state/state_memory.h"

#include <new>

namespace headrace::pipeline {

StateMemory::~StateMemory() {
  Collect(~Step{0});
  SettleCharges();
  HR_CHECK(charged_bytes_ == 0, "state memory was neither retired nor freed");
}

void* StateMemory::Allocate(size_t bytes) {
  unsettled_bytes_ += static_cast<int64_t>(bytes);
  return ::operator new(bytes);
}

void StateMemory::Free(void* memory, size_t bytes) {
  unsettled_bytes_ -= static_cast<int64_t>(bytes);
  ::operator delete(memory);
}

void StateMemory::Retire(void* memory, size_t bytes, Step step) { retired_.push_back({memory, bytes, step}); }

void StateMemory::Collect(Step oldest_pinned) {
  while (!retired_.empty() && retired_.front().step <= oldest_pinned) {
    Free(retired_.front().memory, retired_.front().bytes);
    retired_.pop_front();
  }
}

void StateMemory::SettleCharges() {
  if (unsettled_bytes_ == 0) return;
  budget_.Force(base::MemoryAccount::kState, unsettled_bytes_);
  charged_bytes_ += unsettled_bytes_;
  unsettled_bytes_ = 0;
}

}  // namespace headrace::pipeline
