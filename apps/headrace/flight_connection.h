#pragma once
// A connection to an engine's Flight endpoint, with TLS and token as the command line says.

#include <memory>

#include "base/result.h"
#include "commands.h"

namespace arrow {
class Status;
namespace flight {
class FlightCallOptions;
class FlightClient;
}  // namespace flight
}  // namespace arrow

namespace headrace::app {

// It makes a connection of its own first, over TLS with a handshake: that nobody listens, or what
// is wrong with certificates, is then said as clearly as over HTTP, and the latter is not tried
// again and again. Errors: those of the handshake, kUnavailable.
base::Result<std::unique_ptr<arrow::flight::FlightClient>> ConnectFlight(const Address& address);
// What a status of such a client stands for; that the other side is no Flight server, by address.
base::Error FlightError(const arrow::Status& status, const Address& address);
// Of each call: with the token of the environment.
arrow::flight::FlightCallOptions FlightCall();

}  // namespace headrace::app
