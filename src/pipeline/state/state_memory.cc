#include "pipeline/state/state_memory.h"

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

#include "env/pages.h"

namespace headrace::pipeline {

StateMemory::~StateMemory() {
  Collect(~Step{0});
  HR_CHECK(bytes_in_use_ == 0, "state memory was neither retired nor freed");
  for (const Slab& slab : slabs_) FreeSlab(slab);
  slab_bytes_ = 0;
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

void StateMemory::AddSlab() {
  if (!slabs_.empty() && slabs_.back().in_parts)
    env::MakePagesHuge(slabs_.back().memory, slabs_.back().bytes);
  const bool huge = slab_bytes_ >= kHugePartsFrom;
  Slab slab{
      .memory = nullptr,
      .bytes = huge ? env::kHugePageBytes
                    : std::clamp(std::bit_floor(slab_bytes_ / 8), kSlabBytesMin, kSlabPartBytes),
      .charged = 0,
      .in_parts = huge && slab_bytes_ < kHugeFrom};
  slab.memory = huge ? env::TakePages(slab.bytes,
                                      slab.in_parts ? env::PageSize::kSmall : env::PageSize::kHuge)
                     : ::operator new(slab.bytes, std::align_val_t{kAlignment});
  slabs_.push_back(slab);
  slab_next_ = static_cast<char*>(slab.memory);
  slab_left_ = 0;
}

void StateMemory::FreeSlab(const Slab& slab) {
  unsettled_bytes_ -= static_cast<int64_t>(slab.charged);
  if (slab.bytes == env::kHugePageBytes) return env::GivePagesBack(slab.memory, slab.bytes);
  ::operator delete(slab.memory, std::align_val_t{kAlignment});
}

void* StateMemory::FromSlab(size_t bytes) {
  while (bytes > slab_left_) {
    if (slabs_.empty() || slabs_.back().charged == slabs_.back().bytes) AddSlab();
    Slab& slab = slabs_.back();
    const size_t more = slab.in_parts ? kSlabPartBytes : slab.bytes;
    slab.charged += more;
    slab_left_ += more;
    slab_bytes_ += more;
    unsettled_bytes_ += static_cast<int64_t>(more);
  }
  slab_left_ -= bytes;
  return std::exchange(slab_next_, slab_next_ + bytes);
}

void* StateMemory::Allocate(size_t bytes) {
  bytes_in_use_ += bytes;
  if (!Pooled(bytes)) return System(bytes);
  pooled_in_use_ += ClassOf(bytes) * kClassBytes;
  FreeBlock*& free = free_[ClassOf(bytes)];
  if (free == nullptr) return FromSlab(ClassOf(bytes) * kClassBytes);
  FreeBlock* const taken = std::exchange(free, free->next);
  // Long out of the cache when it is taken next.
  __builtin_prefetch(free, 1);
  return taken;
}

void StateMemory::Free(void* memory, size_t bytes) {
  bytes_in_use_ -= bytes;
  if (Pooled(bytes)) {
    pooled_in_use_ -= ClassOf(bytes) * kClassBytes;
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
  const size_t spare = slab_bytes_ - pooled_in_use_;
  if (spare != told_spare_)
    budget_.AddSpare(static_cast<int64_t>(spare) - static_cast<int64_t>(told_spare_));
  told_spare_ = spare;
  if (unsettled_bytes_ == 0) return;
  budget_.Force(base::MemoryAccount::kState, unsettled_bytes_);
  charged_bytes_ += unsettled_bytes_;
  unsettled_bytes_ = 0;
}

}  // namespace headrace::pipeline
