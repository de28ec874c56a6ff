#pragma once
// A connection to an engine's Flight endpoint, with TLS and token as the command line says.

#include <memory>

#include "base/result.h"
#include "commands.h"

namespace arrow::flight {
class FlightCallOptions;
class FlightClient;
}  // namespace arrow::flight

namespace headrace::app {

// Over TLS it makes one handshake of its own first: what is wrong with certificates is then said
// as clearly as over HTTP, and is not tried again and again. Errors: those of the handshake,
// kUnavailable.
base::Result<std::unique_ptr<arrow::flight::FlightClient>> ConnectFlight(const Address& address);
// Of each call: with the token of the environment.
arrow::flight::FlightCallOptions FlightCall();

}  // namespace headrace::app
