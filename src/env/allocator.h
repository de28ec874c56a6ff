#pragma once
// How the process's allocator gives memory back.

#include <cstdint>

namespace headrace::env {

// For a process whose resident memory must follow what it uses: two arenas instead of eight a core,
// and blocks from 256 KiB on are mapped one by one, so that a freed one goes back at once instead
// of leaving a hole. Call it before other threads start.
void GiveMemoryBackEarly();

// The same, once it is known that the process may have `budget_bytes`: from 1 GiB on blocks of up
// to a 128th of it (at most 32 MiB) come from memory that is used again, as a fresh page costs more
// than what is done with it: 0.3 us to fill, 1 to 3 us to get on a virtual machine.
void FitAllocatorTo(uint64_t budget_bytes);

// Free memory that the allocator still holds goes back now: milliseconds for each 100 MB of it.
void GiveFreeMemoryBack();

}  // namespace headrace::env
