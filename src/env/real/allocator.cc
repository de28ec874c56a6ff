#include "env/allocator.h"

#include <malloc.h>

#include <algorithm>
#include <cstdint>

namespace headrace::env {

void GiveMemoryBackEarly() {
  constexpr int kArenas = 2;
  constexpr int kMappedFromBytes = 256 << 10;
  constexpr int kTrimFromBytes = 1 << 20;
  (void)mallopt(M_ARENA_MAX, kArenas);
  (void)mallopt(M_MMAP_THRESHOLD, kMappedFromBytes);
  (void)mallopt(M_TRIM_THRESHOLD, kTrimFromBytes);
}

void FitAllocatorTo(uint64_t budget_bytes) {
  constexpr uint64_t kLargeBudget = 1ULL << 30;
  constexpr uint64_t kMappedFromBytesMax = 32ULL << 20;  // glibc takes no more
  constexpr uint64_t kTrimFromBytesMax = 256ULL << 20;
  if (budget_bytes < kLargeBudget) return;
  (void)mallopt(M_MMAP_THRESHOLD,
                static_cast<int>(std::min(budget_bytes / 128, kMappedFromBytesMax)));
  (void)mallopt(M_TRIM_THRESHOLD, static_cast<int>(std::min(budget_bytes / 16, kTrimFromBytesMax)));
}

void GiveFreeMemoryBack() { (void)malloc_trim(0); }

}  // namespace headrace::env
