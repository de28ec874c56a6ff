#pragma once
// Memory of the online state: charged to the budget, and given back only when no reader can see it
// any more.

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "base/memory_budget.h"
#include "pipeline/aggregates/cells.h"

namespace headrace::pipeline {

// State advances in steps: step n is what readers see after the n-th ViewSet::Apply. 0 is "never".
using Step = uint64_t;

// Sizes up to kPooledMax come from slabs with a free list per 16 bytes of size: the state allocates
// and frees the same few sizes at the pace of the rows. Slabs stay until the end, so what is
// charged is the most that was ever in use per size; what of it is free, the budget knows as spare.
// Applier thread only. Memory that was retired and not collected is freed with it; memory that was
// not retired is its owner's.
class StateMemory final : public TextMemory {
 public:
  explicit StateMemory(base::MemoryBudget& budget) : budget_(budget) {}
  ~StateMemory() override;
  StateMemory(const StateMemory&) = delete;
  StateMemory& operator=(const StateMemory&) = delete;

  // Not initialised; 16-byte aligned, 64-byte aligned beyond kPooledMax.
  void* Allocate(size_t bytes);
  void* AllocateText(size_t bytes) override { return Allocate(bytes); }
  // At once: for memory that no reader has seen. `bytes` as in Allocate.
  void Free(void* memory, size_t bytes);
  // Freed when every reader has reached `step`, the first at which `memory` can't be found.
  void Retire(void* memory, size_t bytes, Step step);
  // Frees what was retired for steps up to `oldest_pinned`.
  void Collect(Step oldest_pinned);
  // Tells the budget what changed since the last time (once a step instead of once an allocation).
  void SettleCharges();

  // Bytes asked for and not freed yet.
  uint64_t bytes_in_use() const { return bytes_in_use_; }

 private:
  static constexpr size_t kAlignment = 64;  // of slabs and of what does not come from one
  static constexpr size_t kClassBytes = 16;
  static constexpr size_t kPooledMax = 64 << 10;
  // A slab is charged as a whole, used or not. So it is about an eighth of what there is: from 64
  // KiB on; from 2 MiB on a huge page that is charged, and touched, in parts, and made huge when it
  // is full; from 16 MiB on a huge page at once.
  static constexpr size_t kSlabBytesMin = 64 << 10;
  static constexpr size_t kSlabPartBytes = 256 << 10;
  static constexpr size_t kHugePartsFrom = 2 << 20;
  static constexpr size_t kHugeFrom = 16 << 20;
  static_assert(kPooledMax <= kSlabBytesMin);
  struct Retired {
    void* memory;
    size_t bytes;
    Step step;
  };
  struct FreeBlock {
    FreeBlock* next;
  };
  // Under the address sanitizer every allocation is its own, so that it sees what is used after it
  // was freed.
#if defined(__SANITIZE_ADDRESS__)
  static constexpr bool kPools = false;
#else
  static constexpr bool kPools = true;
#endif
  static size_t ClassOf(size_t bytes) { return (bytes + kClassBytes - 1) / kClassBytes; }
  static bool Pooled(size_t bytes) { return kPools && bytes <= kPooledMax; }
  struct Slab {
    void* memory;
    size_t bytes;
    size_t charged;  // the part that is in use
    bool in_parts;
  };
  // Large enough for pages of its own, and then a multiple of them.
  static size_t SystemBytes(size_t bytes);
  void* System(size_t bytes);
  void FreeSystem(void* memory, size_t bytes);
  void* FromSlab(size_t bytes);
  void AddSlab();
  void FreeSlab(const Slab& slab);

  base::MemoryBudget& budget_;
  std::array<FreeBlock*, kPooledMax / kClassBytes + 1> free_{};
  std::vector<Slab> slabs_;
  size_t slab_bytes_ = 0;  // charged for all of them
  char* slab_next_ = nullptr;
  size_t slab_left_ = 0;
  std::deque<Retired> retired_;  // ascending step
  uint64_t bytes_in_use_ = 0;
  size_t pooled_in_use_ = 0;  // of slab_bytes_
  size_t told_spare_ = 0;
  int64_t unsettled_bytes_ = 0;
  int64_t charged_bytes_ = 0;
};

}  // namespace headrace::pipeline
