#pragma once
// What a command needs to speak TLS to an engine.

#include <algorithm>

#include "base/result.h"
#include "commands.h"
#include "protocols/tls_channel.h"

namespace headrace::app {

// The files of --tls-ca, --tls-cert and --tls-key; empty where none is named. Errors: with file=.
base::Result<protocols::TlsTexts> ClientTlsTexts(const Address& address);
// Null: the address is one without TLS. Errors: as above, and those of MakeClientTls.
base::Result<protocols::TlsContextRef> ClientTls(const Address& address);

// Of an error of a connection: it is TLS that failed; somebody does listen.
inline bool IsAboutTls(const base::Error& error) {
  return std::ranges::any_of(error.context(), [](const auto& each) { return each.first == "tls"; });
}

}  // namespace headrace::app
