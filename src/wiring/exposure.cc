#include "wiring/exposure.h"

#include <fmt/format.h>

#include <algorithm>

namespace headrace::wiring {

bool IsLoopback(const std::string& host) {
  const bool digits =
      std::ranges::all_of(host, [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
  return host == "localhost" || host == "::1" || (digits && host.starts_with("127."));
}

base::Result<void> CheckExposure(const std::string& server, const std::string& host,
                                 Callers callers) {
  if (callers == Callers::kKnown || IsLoopback(host)) return {};
  return base::Fail(
      base::Error(
          base::ErrorCode::kFailedPrecondition,
          fmt::format(
              "{} would listen on {} and ask nobody who they are: make a token with "
              "`headrace token create` and start with --tokens FILE, or ask for certificates of "
              "clients with --tls-client-ca FILE, or listen on 127.0.0.1",
              server, host))
          .With("server", server)
          .With("host", host));
}

}  // namespace headrace::wiring
