#pragma once
// Our errors as Arrow Flight statuses, and back: the code's name leads the message, so that no
// detail is lost on the wire.

#include <string>
#include <string_view>

#include "base/error.h"

namespace arrow {
class Status;
}

namespace headrace::ingest {

// "[StorageFull] message (name=value)". kUnavailable and kResourceExhausted become Flight's
// Unavailable: the client may repeat.
arrow::Status ToFlightStatus(const base::Error& error);

// The error that a server's status stands for, without what gRPC and Arrow add to its message. A
// status without our code is kUnauthorized when it is about a token; kUnavailable when gRPC says so
// or when it is an I/O error (the connection broke, nobody listens); else kInternal. The status
// must not be OK.
base::Error FromFlightStatus(const arrow::Status& status);

}  // namespace headrace::ingest
