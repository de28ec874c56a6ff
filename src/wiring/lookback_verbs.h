#pragma once
// The HTTP verbs that ask of the past. They may take long, so they have a thread of their own, one
// after the other.

#include "protocols/http_router.h"
#include "wiring/engine.h"

namespace headrace::wiring {

// More questions than that wait or are under way: the next one is kResourceExhausted.
inline constexpr size_t kLookbacksMax = 32;

// Of a question's body, which is read on the I/O thread: a longer one is kInvalidInput.
inline constexpr size_t kLookbackBytesMax = 256U << 10;

// POST /explain, POST /get-features-at and POST /last-events. Core outlives the router.
void MountLookback(protocols::HttpRouter& router, Core& core);

}  // namespace headrace::wiring
