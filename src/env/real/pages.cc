#include "env/pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "base/result.h"

namespace headrace::env {
namespace {

// What was taken ahead.
struct Ahead {
  std::mutex mutex;
  std::vector<void*> pages;  // a huge one each, touched
  size_t to_come = 0;        // pages that are still to be taken
  std::atomic<uint64_t> bytes_at_hand{0};
};

Ahead& TheAhead() {
  static Ahead ahead;
  return ahead;
}

// Null when there is none.
void* TakeAhead() {
  Ahead& ahead = TheAhead();
  const std::lock_guard lock(ahead.mutex);
  if (ahead.pages.empty()) return nullptr;
  void* const page = ahead.pages.back();
  ahead.pages.pop_back();
  ahead.bytes_at_hand -= kHugePageBytes;
  return page;
}

void NoteTaken(size_t bytes) {
  Ahead& ahead = TheAhead();
  const std::lock_guard lock(ahead.mutex);
  ahead.to_come -= std::min(ahead.to_come, bytes / kHugePageBytes);
}

// Null when the system has none.
void* MapPages(size_t bytes, PageSize size) {
  // What sticks out on both sides of an aligned part is given back at once.
  const size_t asked = bytes + kHugePageBytes;
  void* const mapped =
      mmap(nullptr, asked, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
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

void Touch(void* pages) {
  constexpr size_t kSmallPageBytes = 4096;  // the system may have no huge ones
  auto* const bytes = static_cast<volatile char*>(pages);
  for (size_t at = 0; at < kHugePageBytes; at += kSmallPageBytes) bytes[at] = 0;
}

}  // namespace

void* TakePages(size_t bytes, PageSize size) {
  HR_CHECK(bytes > 0 && bytes % kHugePageBytes == 0, "pages come in multiples of a huge page");
  if (bytes == kHugePageBytes && size == PageSize::kHuge) {
    if (void* const page = TakeAhead()) return page;
  }
  void* const pages = MapPages(bytes, size);
  HR_CHECK(pages != nullptr, "the system has no memory left");
  NoteTaken(bytes);
  return pages;
}

void MakePagesHuge(void* pages, size_t bytes) {
  constexpr int kCollapse = 25;  // MADV_COLLAPSE, Linux 6.1: newer than the headers
  (void)madvise(pages, bytes, MADV_HUGEPAGE);
  (void)madvise(pages, bytes, kCollapse);
}

void GivePagesBack(void* pages, size_t bytes) { munmap(pages, bytes); }

PagesAhead::PagesAhead(uint64_t bytes) {
  Ahead& ahead = TheAhead();
  {
    const std::lock_guard lock(ahead.mutex);
    ahead.to_come = static_cast<size_t>(bytes / kHugePageBytes);
  }
  taker_ = std::make_unique<std::jthread>([&ahead](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      {
        const std::lock_guard lock(ahead.mutex);
        if (ahead.to_come == 0) return;
        --ahead.to_come;
      }
      void* const page = MapPages(kHugePageBytes, PageSize::kHuge);
      if (page == nullptr) return;
      // Before it is resident: what is seen so must not look like memory that nobody knows of.
      ahead.bytes_at_hand += kHugePageBytes;
      Touch(page);
      const std::lock_guard lock(ahead.mutex);
      ahead.pages.push_back(page);
    }
  });
}

PagesAhead::~PagesAhead() {
  taker_.reset();
  while (void* const page = TakeAhead()) GivePagesBack(page, kHugePageBytes);
  const std::lock_guard lock(TheAhead().mutex);
  TheAhead().to_come = 0;
}

uint64_t PagesAhead::BytesAtHand() { return TheAhead().bytes_at_hand; }

}  // namespace headrace::env
