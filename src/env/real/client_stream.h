#pragma once
// A client's TCP connection on plain poll(2): what Network::Connect of the real machine gives.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "env/network.h"

namespace headrace::env {

// As Network::Connect; tries the host's addresses in turn.
base::Result<std::unique_ptr<ClientStream>> ConnectClientStream(const std::string& host,
                                                                uint16_t port,
                                                                std::chrono::milliseconds timeout);

}  // namespace headrace::env
