#pragma once
// TLS over a client's connection.

#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "env/network.h"
#include "protocols/tls_channel.h"

namespace headrace::protocols {

// Makes the handshake on `stream` as a client of `host`. Blocks, as the stream does. Errors: those
// of the stream; those of TlsChannel::failure.
base::Result<std::unique_ptr<env::ClientStream>> SpeakTls(std::unique_ptr<env::ClientStream> stream,
                                                          TlsContextRef context,
                                                          const std::string& host,
                                                          std::chrono::milliseconds timeout);

}  // namespace headrace::protocols
