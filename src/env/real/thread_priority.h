#pragma once
// How the calling thread stands among the threads of this machine. Failing to get what is asked for
// is no reason to fail: it is a matter of milliseconds, not of results.

#include "env/executor.h"

namespace headrace::env::real {

// kBackground: nice 10. kRealTime: short time slices, so that a thread that wakes for a request
// runs at once beside one that computes for long, instead of when that one's slice ends (about 3 ms
// under Linux's EEVDF scheduler; from 6.12 on a thread may ask for shorter ones).
void SetThreadPriority(Priority priority);

}  // namespace headrace::env::real
