#include "env/allocator.h"

#include <malloc.h>

namespace headrace::env {

void GiveMemoryBackEarly() {
  constexpr int kArenas = 2;
  constexpr int kMappedFromBytes = 256 << 10;
  constexpr int kTrimFromBytes = 1 << 20;
  (void)mallopt(M_ARENA_MAX, kArenas);
  (void)mallopt(M_MMAP_THRESHOLD, kMappedFromBytes);
  (void)mallopt(M_TRIM_THRESHOLD, kTrimFromBytes);
}

void GiveFreeMemoryBack() { (void)malloc_trim(0); }

}  // namespace headrace::env
