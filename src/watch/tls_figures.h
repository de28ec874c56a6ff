#pragma once
// What the status document and the metrics say of TLS.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "watch/metrics_text.h"

namespace headrace::watch {

struct TlsFigures {
  std::string subject;  // of the certificate in force
  base::Timestamp valid_until;
  base::Duration left{0};    // negative once it is over
  base::Duration notice{0};  // sooner than this is worth a warning
  bool asks_clients = false;
  uint64_t loaded = 0;         // pairs so far: 1 since the start
  std::string problem;         // why the files are not in force
  std::string flight_problem;  // why Flight does not listen with it
  uint64_t handshakes_under_way = 0, handshakes_done = 0, resumed = 0;
  uint64_t failed = 0;       // broken off, late, or not believed
  uint64_t turned_away = 0;  // over a limit
  uint64_t plain_clients = 0;
};

// Of a certificate that has expired, or will within `notice`; else nothing.
struct CertificateEnding {
  std::string_view what;
  std::string_view next;  // what helps
};
std::optional<CertificateEnding> EndingOf(const TlsFigures& figures);

// The member "tls" of the status document, as JSON.
std::string TlsJson(const TlsFigures& figures);
void AppendTlsMetrics(const TlsFigures& figures, MetricsText& text);

}  // namespace headrace::watch
