#pragma once
// How many calls of a kind may be under way at a Flight server. A call takes its place with its
// headers, before gRPC's thread waits for its first message: clients that open calls and say
// nothing take places as all others do, and no more threads than there are places.

#include <cstddef>
#include <memory>

namespace arrow::flight {
class ServerMiddlewareFactory;
}  // namespace arrow::flight

namespace headrace::ingest {

// What the middleware is called among those of a server.
inline constexpr const char* kCallPlaces = "headrace-places";

// Named limits. At each, one call more is kResourceExhausted.
struct CallLimits {
  size_t puts_max = 64;
  size_t gets_max = 64;  // those that nobody reads count too
  size_t exchanges_max = 64;
  size_t others_max = 64;  // lists, descriptions, actions
};

// A place is free again when its call has ended, whichever way.
std::shared_ptr<arrow::flight::ServerMiddlewareFactory> MakeCallPlaces(const CallLimits& limits);

}  // namespace headrace::ingest
