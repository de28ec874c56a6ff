#pragma once
// How the process's allocator gives memory back.

namespace headrace::env {

// For a process whose resident memory must follow what it uses: two arenas instead of eight a core,
// and blocks from 256 KiB on are mapped one by one, so that a freed one goes back at once instead
// of leaving a hole. Call it before other threads start.
void GiveMemoryBackEarly();

// Free memory that the allocator still holds goes back now: milliseconds for each 100 MB of it.
void GiveFreeMemoryBack();

}  // namespace headrace::env
