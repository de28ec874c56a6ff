#include "protocols/browser_rules.h"

#include <algorithm>

namespace headrace::protocols {
namespace {

// "[::1]:6566" is "[::1]", "localhost:1" is "localhost".
std::string_view WithoutPort(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

// Written as an address: digits and dots, or in brackets. No name of the DNS looks like one, as no
// top-level domain is a number.
bool IsAddress(std::string_view host) {
  if (host.starts_with('[')) return host.ends_with(']');
  const size_t dot = host.rfind('.');
  const std::string_view last = dot == std::string_view::npos ? host : host.substr(dot + 1);
  return !last.empty() && std::ranges::all_of(last, [](char c) { return c >= '0' && c <= '9'; });
}

bool IsLocal(std::string_view host) {
  std::string_view name = WithoutPort(host);
  if (name.ends_with('.')) name.remove_suffix(1);
  return EqualsIgnoringCase(name, "localhost") || IsAddress(name);
}

// The page and we are one origin: the same host and port, over HTTP or HTTPS.
bool IsOwnOrigin(std::string_view origin, std::string_view host) {
  const size_t scheme = origin.find("://");
  return scheme != std::string_view::npos && !host.empty() &&
         EqualsIgnoringCase(origin.substr(scheme + 3), host);
}

}  // namespace

std::optional<HeadRefusal> CheckBrowser(const std::vector<HttpField>& fields, HostRule rule) {
  std::string_view host;
  std::optional<std::string_view> origin;
  for (const HttpField& field : fields) {
    if (field.name == "host") {
      host = field.value;
      if (rule == HostRule::kLocal && !IsLocal(host))
        return HeadRefusal{421,
                           "a Host that is neither localhost nor an address: without tokens this "
                           "server answers under no other name"};
    } else if (field.name == "origin") {
      if (origin) return HeadRefusal{400, "two Origin fields"};
      origin = field.value;
    } else if (field.name == "sec-fetch-site" && EqualsIgnoringCase(field.value, "cross-site")) {
      return HeadRefusal{403, "a request that a page of another site made"};
    }
  }
  if (origin && !IsOwnOrigin(*origin, host))
    return HeadRefusal{403, "a request that a page of another origin made"};
  return std::nullopt;
}

}  // namespace headrace::protocols
