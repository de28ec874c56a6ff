#pragma once
// One DoGet call: batches of rows out, as fast as the client takes them.

#include <memory>

#include "ingest/flight/flight_reads.h"

namespace arrow::flight {
class FlightDataStream;
}

namespace headrace::ingest {

// gRPC asks it for the next message when the one before has left, on the call's thread; so at most
// one batch waits here. An error ends the call with its status. The rows go with the stream.
std::unique_ptr<arrow::flight::FlightDataStream> MakeGetStream(std::unique_ptr<FlightRows> rows);

}  // namespace headrace::ingest
