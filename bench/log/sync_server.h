#pragma once
// The least that a durable server can do: one thread that takes what its connections sent, writes
// it with one pwrite and one fdatasync, and answers each batch with a byte. It checks, orders,
// numbers and remembers nothing. What lies between it and the bare disk are sockets and wake-ups.

#include <string>

namespace headrace::bench {

// Prints its port, then serves until standard input ends. Returns the exit code.
int RunSyncServer(const std::string& folder);

}  // namespace headrace::bench
