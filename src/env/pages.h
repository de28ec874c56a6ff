#pragma once
// Memory straight from the system, for what is large and is read at random: in huge pages where the
// system gives them (Linux: transparent_hugepage `always` or `madvise`), so that a gigabyte of it
// is hundreds of page faults instead of a quarter of a million, and fits the processor's tables of
// pages.

#include <cstddef>

namespace headrace::env {

inline constexpr size_t kHugePageBytes = 2 << 20;

// `bytes` is a multiple of kHugePageBytes; the memory is zeroed and aligned to it. Ends the process
// when the system has none, as `new` would by an exception that nobody catches.
void* TakePages(size_t bytes);
void GivePagesBack(void* pages, size_t bytes);

}  // namespace headrace::env
