#pragma once
// Memory straight from the system, for what is large and is read at random: in huge pages where the
// system gives them (Linux: transparent_hugepage `always` or `madvise`), so that a gigabyte of it
// is hundreds of page faults instead of a quarter of a million, and fits the processor's tables of
// pages.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>

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

// Takes huge pages and touches them, on a thread of its own, ahead of a start that will ask for as
// many bytes: the memory of a process that was just killed is still at hand then, and comes at a
// tenth of the pace once a virtual machine's host has it back (docs/internals/snapshots.md).
// TakePages of one huge page takes these first; whatever else it gives meanwhile is taken off what
// is still to come, so that both together are no more than `bytes`, or what was asked for. Where
// the system has no memory left it stops. There is one of these at a time.
class PagesAhead {
 public:
  explicit PagesAhead(uint64_t bytes);
  // What nobody asked for goes back.
  ~PagesAhead();
  // Resident, and asked for by nobody yet. From any thread.
  static uint64_t BytesAtHand();
  PagesAhead(const PagesAhead&) = delete;
  PagesAhead& operator=(const PagesAhead&) = delete;

 private:
  std::unique_ptr<std::jthread> taker_;
};

}  // namespace headrace::env
