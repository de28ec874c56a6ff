#pragma once
// Whether an engine may listen where it is told to.

#include <string>

#include "base/result.h"

namespace headrace::wiring {

// "127.0.0.1", "localhost", "::1": reachable from this machine alone.
bool IsLoopback(const std::string& host);

// Whether whoever connects must show who they are: by a token, or by a certificate. TLS without
// certificates of clients hides what passes, and asks nobody.
enum class Callers : uint8_t { kAnybody, kKnown };

// Errors: kFailedPrecondition for an address that others reach while anybody may call, with what to
// do.
base::Result<void> CheckExposure(const std::string& server, const std::string& host,
                                 Callers callers);

}  // namespace headrace::wiring
