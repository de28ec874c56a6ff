#include "watch/tls_figures.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "base/json_text.h"

namespace headrace::watch {

std::optional<CertificateEnding> EndingOf(const TlsFigures& figures) {
  constexpr std::string_view kNext = "put a new one in its place";
  if (figures.left < base::Duration(0))
    return CertificateEnding{"the TLS certificate has expired: clients refuse it", kNext};
  if (figures.left < figures.notice)
    return CertificateEnding{"the TLS certificate expires soon", kNext};
  return std::nullopt;
}

std::string TlsJson(const TlsFigures& figures) {
  using Days = std::chrono::duration<int64_t, std::ratio<86'400>>;
  nlohmann::ordered_json json = {{"subject", figures.subject},
                                 {"valid_until", base::FormatTimestamp(figures.valid_until)},
                                 {"days_left", std::chrono::floor<Days>(figures.left).count()},
                                 {"client_certificates", figures.asks_clients},
                                 {"loaded", figures.loaded},
                                 {"handshakes",
                                  {{"under_way", figures.handshakes_under_way},
                                   {"done", figures.handshakes_done},
                                   {"resumed", figures.resumed},
                                   {"failed", figures.failed},
                                   {"turned_away", figures.turned_away}}},
                                 {"plain_clients", figures.plain_clients}};
  if (const auto ending = EndingOf(figures))
    json["warning"] = fmt::format("{}; {}", ending->what, ending->next);
  if (!figures.problem.empty()) json["problem"] = figures.problem;
  if (!figures.flight_problem.empty()) json["flight_problem"] = figures.flight_problem;
  return base::JsonText(json);
}

void AppendTlsMetrics(const TlsFigures& figures, MetricsText& text) {
  text.Gauge("headrace_protocols_tls_certificate_left_seconds",
             "Time until the certificate in force expires; negative after that.",
             std::chrono::duration<double>(figures.left).count());
  text.Gauge("headrace_protocols_tls_files_in_force",
             "0 while the files of TLS can't be used and the pair before goes on.",
             figures.problem.empty() && figures.flight_problem.empty() ? 1 : 0);
  text.Counter("headrace_protocols_tls_loaded_total", "Certificates that came into force.",
               figures.loaded);
  for (const auto& [result, count] :
       {std::pair("done", figures.handshakes_done), std::pair("failed", figures.failed),
        std::pair("turned_away", figures.turned_away)})
    text.Counter("headrace_protocols_tls_handshakes_total",
                 "Handshakes over HTTP and RESP, by what became of them.", count,
                 {{"result", result}});
  text.Gauge("headrace_protocols_tls_handshakes_under_way", "Handshakes under way.",
             static_cast<double>(figures.handshakes_under_way));
  text.Counter("headrace_protocols_tls_plain_clients_total",
               "Clients that spoke no TLS where it is spoken.", figures.plain_clients);
}

}  // namespace headrace::watch
