#include "env/pages.h"

#include <sys/mman.h>

#include <cstdint>

#include "base/result.h"

namespace headrace::env {

void* TakePages(size_t bytes, PageSize size) {
  HR_CHECK(bytes > 0 && bytes % kHugePageBytes == 0, "pages come in multiples of a huge page");
  // What sticks out on both sides of an aligned part is given back at once.
  const size_t asked = bytes + kHugePageBytes;
  void* const mapped =
      mmap(nullptr, asked, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  HR_CHECK(mapped != MAP_FAILED, "the system has no memory left");
  const auto begin = reinterpret_cast<uintptr_t>(mapped);
  const uintptr_t aligned = (begin + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  if (aligned > begin) munmap(mapped, aligned - begin);
  const size_t behind = begin + asked - (aligned + bytes);
  if (behind > 0) munmap(reinterpret_cast<void*>(aligned + bytes), behind);
  void* const pages = reinterpret_cast<void*>(aligned);
  // Hints: without them, whatever the system does by itself.
  (void)madvise(pages, bytes, size == PageSize::kHuge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  return pages;
}

void MakePagesHuge(void* pages, size_t bytes) {
  constexpr int kCollapse = 25;  // MADV_COLLAPSE, Linux 6.1: newer than the headers
  (void)madvise(pages, bytes, MADV_HUGEPAGE);
  (void)madvise(pages, bytes, kCollapse);
}

void GivePagesBack(void* pages, size_t bytes) { munmap(pages, bytes); }

}  // namespace headrace::env
