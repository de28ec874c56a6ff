#include "env/pages.h"

#include <sys/mman.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "base/result.h"

namespace headrace::env {
namespace {

// A huge page each, touched.
struct Ready {
  std::mutex mutex;
  std::vector<void*> pages;
};

Ready& TheReady() {
  static Ready ready;
  return ready;
}

void* TakeReady() {
  Ready& ready = TheReady();
  const std::lock_guard lock(ready.mutex);
  if (ready.pages.empty()) return nullptr;
  void* const page = ready.pages.back();
  ready.pages.pop_back();
  return page;
}

void* MapPages(size_t bytes, PageSize size) {
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

void Touch(void* pages) {
  constexpr size_t kSmallPageBytes = 4096;  // the system may have no huge ones
  auto* const bytes = static_cast<volatile char*>(pages);
  for (size_t at = 0; at < kHugePageBytes; at += kSmallPageBytes) bytes[at] = 0;
}

}  // namespace

void* TakePages(size_t bytes, PageSize size) {
  HR_CHECK(bytes > 0 && bytes % kHugePageBytes == 0, "pages come in multiples of a huge page");
  if (bytes == kHugePageBytes && size == PageSize::kHuge) {
    if (void* const ready = TakeReady()) return ready;
  }
  return MapPages(bytes, size);
}

void MakePagesHuge(void* pages, size_t bytes) {
  constexpr int kCollapse = 25;  // MADV_COLLAPSE, Linux 6.1: newer than the headers
  (void)madvise(pages, bytes, MADV_HUGEPAGE);
  (void)madvise(pages, bytes, kCollapse);
}

void GivePagesBack(void* pages, size_t bytes) { munmap(pages, bytes); }

struct PagesAhead::Taker {
  explicit Taker(size_t count)
      : thread([count](const std::stop_token& stop) {
          for (size_t taken = 0; taken < count && !stop.stop_requested(); ++taken) {
            void* const page = MapPages(kHugePageBytes, PageSize::kHuge);
            Touch(page);
            const std::lock_guard lock(TheReady().mutex);
            TheReady().pages.push_back(page);
          }
        }) {}
  std::jthread thread;
};

PagesAhead::PagesAhead(uint64_t bytes)
    : taker_(std::make_unique<Taker>(static_cast<size_t>(bytes / kHugePageBytes))) {}

PagesAhead::~PagesAhead() {
  taker_.reset();
  while (void* const page = TakeReady()) GivePagesBack(page, kHugePageBytes);
}

}  // namespace headrace::env
