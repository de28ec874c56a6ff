#pragma once
// TLS without sockets: bytes from the peer in, bytes for the peer out. The only thing here that
// knows OpenSSL, whose headers stay in tls_channel.cc.
//
// TLS 1.2 and 1.3; in 1.2 only ciphers with forward secrecy and authentication of their own (AEAD);
// no compression, no renegotiation, no early data. Sessions are resumed by tickets, whose keys live
// as long as their context.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace headrace::protocols {

// What files have, as text (PEM).
struct TlsTexts {
  std::string certificate;  // the own one first, then those between it and its CA
  std::string key;
  std::string peer_ca;  // whose certificates a peer may have
};

struct TlsCertificate {
  std::string subject;  // "CN=features.example"
  base::Timestamp not_before;
  base::Timestamp not_after;
};

// What the connections of one side share. Immutable, thread-safe.
class TlsContext {
 public:
  virtual ~TlsContext() = default;
  // The own certificate; empty for a client without one.
  virtual const TlsCertificate& certificate() const = 0;
};
using TlsContextRef = std::shared_ptr<const TlsContext>;

// With a `peer_ca` every client must show a certificate of it. Errors: kInvalidInput for texts that
// are no certificate or key, or do not belong together; they say which.
base::Result<TlsContextRef> MakeServerTls(const TlsTexts& texts);
// Certificate and key may be missing. Without a `peer_ca` servers are believed whom the machine
// believes.
base::Result<TlsContextRef> MakeClientTls(const TlsTexts& texts);

// One side of one connection. One thread at a time, not always the same.
class TlsChannel {
 public:
  enum class Step : uint8_t {
    kWants,   // more bytes of the peer
    kDone,    // what was asked for
    kEnded,   // the peer says that no more comes
    kFailed,  // for good; output() may have an alert for the peer
  };

  // `alpn`: the one protocol spoken here, "http/1.1"; a client that names others only is refused.
  // Empty: clients may name what they like.
  static std::unique_ptr<TlsChannel> Accept(TlsContextRef context, std::string alpn);
  // The server's certificate must be for `host`, a name or an address.
  static std::unique_ptr<TlsChannel> Connect(TlsContextRef context, const std::string& host);

  virtual ~TlsChannel() = default;
  // Bytes from the peer; they must live until nothing of them is unread(), or the next Supply.
  virtual void Supply(std::span<const uint8_t> bytes) = 0;
  virtual std::span<const uint8_t> unread() const = 0;
  virtual Step Handshake() = 0;
  // What the peer wrote; at most one record. kDone with at least one byte in `out`.
  virtual Step Read(std::span<uint8_t> out, size_t& count) = 0;
  // All of it, or kFailed.
  virtual Step Write(std::span<const uint8_t> bytes) = 0;
  // Tells the peer that no more comes.
  virtual void End() = 0;
  // Takes what is to be sent to the peer.
  virtual std::string TakeOutput() = 0;
  // Of a kFailed: what to do, as far as that is known. kFailedPrecondition for a peer that is not
  // believed or does not believe us, kUnavailable for bytes that are no TLS.
  virtual base::Error failure() const = 0;
  // "TLSv1.3", "TLS_AES_256_GCM_SHA384". After the handshake.
  virtual std::string version() const = 0;
  virtual std::string cipher() const = 0;
  virtual bool resumed() const = 0;
};

}  // namespace headrace::protocols
