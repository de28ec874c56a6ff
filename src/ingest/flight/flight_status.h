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

// The error that a server's status stands for. A status without our code (the connection broke,
// nobody listens) is kUnavailable when gRPC says so or when it is an I/O error, else kInternal. The
// status must not be OK.
base::Error FromFlightStatus(const arrow::Status& status);

}  // namespace headrace::ingest
