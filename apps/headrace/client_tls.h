#pragma once
// What a command needs to speak TLS to an engine.

#include "base/result.h"
#include "commands.h"
#include "protocols/tls_channel.h"

namespace headrace::app {

// The files of --tls-ca, --tls-cert and --tls-key; empty where none is named. Errors: with file=.
base::Result<protocols::TlsTexts> ClientTlsTexts(const Address& address);
// Null: the address is one without TLS. Errors: as above, and those of MakeClientTls.
base::Result<protocols::TlsContextRef> ClientTls(const Address& address);

}  // namespace headrace::app
