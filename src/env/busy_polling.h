#pragma once
// Busy polling: threads between which a request goes to and fro look out for more for a while
// before they sleep, since to be woken takes 30 to 80 us on a virtual machine. An option of the
// process, off unless asked for.

#include <chrono>

namespace headrace::env {

// From the threads that are started after it on: I/O threads and eager executors look out for
// `span` after they last had something to do, giving the CPU to whoever else wants it. It costs
// them a core each while there is traffic, and nothing once it has been quiet for `span`.
void UseBusyPolling(std::chrono::nanoseconds span);
// 0: off.
std::chrono::nanoseconds BusyPolling();

}  // namespace headrace::env
