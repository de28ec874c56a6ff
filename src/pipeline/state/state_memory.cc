#include "pipeline/state/state_memory.h"

#include <new>
#include <utility>

#include "env/pages.h"

namespace headrace::pipeline {

StateMemory::~StateMemory() {
  Collect(~Step{0});
  HR_CHECK(bytes_in_use_ == 0, "state memory was neither retired nor freed");
  for (const Slab& slab : slabs_) FreeSystem(slab.memory, slab.bytes);
  SettleCharges();
  HR_CHECK(charged_bytes_ == 0, "state memory was charged and not given back");
}

size_t StateMemory::SystemBytes(size_t bytes) {
  if (!kPools || bytes < env::kHugePageBytes) return bytes;
  return (bytes + env::kHugePageBytes - 1) / env::kHugePageBytes * env::kHugePageBytes;
}

void* StateMemory::System(size_t bytes) {
  bytes = SystemBytes(bytes);
  unsettled_bytes_ += static_cast<int64_t>(bytes);
  if (kPools && bytes >= env::kHugePageBytes) return env::TakePages(bytes);
  return ::operator new(bytes, std::align_val_t{kAlignment});
}

void StateMemory::FreeSystem(void* memory, size_t bytes) {
  bytes = SystemBytes(bytes);
  unsettled_bytes_ -= static_cast<int64_t>(bytes);
  if (kPools && bytes >= env::kHugePageBytes) return env::GivePagesBack(memory, bytes);
  ::operator delete(memory, std::align_val_t{kAlignment});
}

void* StateMemory::FromSlab(size_t bytes) {
  if (bytes > slab_left_) {
    const size_t slab = slabs_.size() < kSmallSlabs ? kSlabBytes : env::kHugePageBytes;
    slabs_.push_back({System(slab), slab});
    slab_next_ = static_cast<char*>(slabs_.back().memory);
    slab_left_ = slab;
  }
  slab_left_ -= bytes;
  return std::exchange(slab_next_, slab_next_ + bytes);
}

void* StateMemory::Allocate(size_t bytes) {
  bytes_in_use_ += bytes;
  if (!Pooled(bytes)) return System(bytes);
  FreeBlock*& free = free_[ClassOf(bytes)];
  if (free == nullptr) return FromSlab(ClassOf(bytes) * kClassBytes);
  return std::exchange(free, free->next);
}

void StateMemory::Free(void* memory, size_t bytes) {
  bytes_in_use_ -= bytes;
  if (Pooled(bytes)) {
    FreeBlock*& free = free_[ClassOf(bytes)];
    free = new (memory) FreeBlock{free};
    return;
  }
  FreeSystem(memory, bytes);
}

void StateMemory::Retire(void* memory, size_t bytes, Step step) {
  retired_.push_back({memory, bytes, step});
}

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
