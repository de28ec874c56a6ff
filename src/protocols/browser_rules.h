#pragma once
// What keeps pages in a browser out: a page of another origin may not ask, and a name that was
// pointed at this machine (DNS rebinding) is not one of its own.

#include <optional>
#include <string_view>
#include <vector>

#include "protocols/head_rules.h"
#include "protocols/http_message.h"

namespace headrace::protocols {

enum class HostRule : uint8_t {
  kAny,
  // `localhost` and addresses: what a page can't be served under by anybody else. For a server that
  // asks for no token.
  kLocal,
};

// 403 for a request that a page of another origin made (Origin is not the Host's, Sec-Fetch-Site),
// 421 for a Host against the rule. Names of `fields` are in lower case.
std::optional<HeadRefusal> CheckBrowser(const std::vector<HttpField>& fields, HostRule rule);

}  // namespace headrace::protocols
