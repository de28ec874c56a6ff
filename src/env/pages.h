#pragma once
// Memory straight from the system, for what is large and is read at random: in huge pages where the
// system gives them (Linux: transparent_hugepage `always` or `madvise`), so that a gigabyte of it
// is hundreds of page faults instead of a quarter of a million, and fits the processor's tables of
// pages.

#include <cstddef>
#include <cstdint>
#include <memory>

namespace headrace::env {

inline constexpr size_t kHugePageBytes = 2 << 20;

// Huge pages are taken from the system as a whole when they are first touched, small ones one by
// one.
enum class PageSize : uint8_t { kHuge, kSmall };

// `bytes` is a multiple of kHugePageBytes; the memory is zeroed and aligned to it. Ends the process
// when the system has none, as `new` would by an exception that nobody catches.
void* TakePages(size_t bytes, PageSize size = PageSize::kHuge);
// Of small pages, once most of them are used: moves them into huge ones, if the system has some to
// spare. About a millisecond for each; others may read and write meanwhile.
void MakePagesHuge(void* pages, size_t bytes);
void GivePagesBack(void* pages, size_t bytes);

// Takes `bytes` of huge pages, rounded down, and touches them, on a thread of its own, ahead of a
// start that will ask for as many: TakePages hands them out first, one at a time. The memory of a
// process that has just been killed is at hand for two seconds; after that a virtual machine's host
// may have it back, and gives it out page by page, at a tenth of the pace. One at a time.
class PagesAhead {
 public:
  explicit PagesAhead(uint64_t bytes);
  // What nobody took goes back.
  ~PagesAhead();
  PagesAhead(const PagesAhead&) = delete;
  PagesAhead& operator=(const PagesAhead&) = delete;

 private:
  struct Taker;
  std::unique_ptr<Taker> taker_;
};

}  // namespace headrace::env
