#pragma once
// Whether an engine may listen where it is told to.

#include <string>

#include "base/result.h"

namespace headrace::wiring {

// "127.0.0.1", "localhost", "::1": reachable from this machine alone.
bool IsLoopback(const std::string& host);

enum class Tokens : uint8_t { kNone, kAsked };

// Errors: kFailedPrecondition for an address that others reach while no token is asked for, with
// what to do.
base::Result<void> CheckExposure(const std::string& server, const std::string& host, Tokens tokens);

}  // namespace headrace::wiring
