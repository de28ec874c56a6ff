#include "client_tls.h"

#include "text_file.h"

namespace headrace::app {

base::Result<protocols::TlsTexts> ClientTlsTexts(const Address& address) {
  const TlsClientFiles& files = address.tls_files;
  if (files.cert.empty() != files.key.empty())
    return base::Fail(base::ErrorCode::kInvalidInput,
                      "a client certificate goes with its key: give --tls-cert and --tls-key");
  protocols::TlsTexts texts;
  if (!files.ca.empty()) {
    HR_TRY(texts.peer_ca, ReadTextFile(files.ca));
  }
  if (files.cert.empty()) return texts;
  HR_TRY(texts.certificate, ReadTextFile(files.cert));
  HR_TRY(texts.key, ReadTextFile(files.key));
  return texts;
}

base::Result<protocols::TlsContextRef> ClientTls(const Address& address) {
  if (!address.tls) return nullptr;
  HR_TRY(const protocols::TlsTexts texts, ClientTlsTexts(address));
  return protocols::MakeClientTls(texts);
}

}  // namespace headrace::app
