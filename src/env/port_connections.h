#pragma once
// Connections that a library of this process accepts on a port of its own (gRPC): it shares neither
// its listener nor its sockets, so they are looked for among the open files of the process.
// Thread-safe.

#include <cstdint>
#include <vector>

namespace headrace::env {

struct PortConnection {
  int descriptor = -1;
  uint64_t cookie = 0;          // names it for as long as this machine runs
  uint64_t received_bytes = 0;  // from the peer, in all
  uint32_t silent_ms = 0;       // since the last of them
};

// About 1 us for each open file of the process. Nothing is found where the system does not say.
std::vector<PortConnection> FindPortConnections(uint16_t port);
// The library finds that the connection has ended, and closes it. False when it has gone already.
bool ShutDown(const PortConnection& connection);

}  // namespace headrace::env
