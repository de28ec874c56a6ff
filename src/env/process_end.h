#pragma once
// How a process ends whose work is all on disk.

namespace headrace::env {

// Ends the process after what it has printed is out. Nothing is destroyed: the memory is the
// system's to take, all at once, which destructors of gigabytes of state take seconds for. Threads
// that still run just end. Returns in builds that look for leaks and races: those destroy all.
void EndWithoutDestructors(int exit_code);

}  // namespace headrace::env
