#include "wiring/route_needs.h"

#include <array>

namespace headrace::wiring {
namespace {

using access::Verb;
using protocols::HttpMethod;
using Names = protocols::RouteNeed::Names;

struct Row {
  HttpMethod method;
  std::string_view pattern;
  protocols::RouteNeed need;
};

constexpr auto kRows = std::to_array<Row>({
    {HttpMethod::kGet, "/health", {.names = Names::kNone}},
    {HttpMethod::kGet, "/feast/health", {.names = Names::kNone}},
    {HttpMethod::kGet, "/ready", {.names = Names::kNone}},
    {HttpMethod::kGet, "/openapi.json", {.names = Names::kNone}},
    {HttpMethod::kGet, "/status", {.verb = Verb::kWatch}},
    {HttpMethod::kGet, "/metrics", {.verb = Verb::kWatch}},
    {HttpMethod::kGet, "/definition", {.verb = Verb::kWatch}},
    {HttpMethod::kGet, "/views", {.verb = Verb::kRead, .names = Names::kSome}},
    // Views and services are looked at where their names are read: serving/caller_rights.h.
    {HttpMethod::kPost, "/get-online-features", {.verb = Verb::kRead, .names = Names::kSome}},
    {HttpMethod::kPost, "/feast/get-online-features", {.verb = Verb::kRead, .names = Names::kSome}},
    {HttpMethod::kPost,
     "/streams/{stream}/events",
     {.verb = Verb::kPush, .names = Names::kStreamOfPath}},
    // The service is looked at before the event is taken in: serving/push/push.h.
    {HttpMethod::kPost,
     "/streams/{stream}/push-get",
     {.verb = Verb::kPush, .names = Names::kStreamOfPath}},
    // Who has the token of a push is who sent it.
    {HttpMethod::kGet, "/pushes/{token}", {.verb = Verb::kPush, .names = Names::kSome}},
    {HttpMethod::kPost, "/push", {.verb = Verb::kPush}},
    {HttpMethod::kPost, "/feast/push", {.verb = Verb::kPush}},
    {HttpMethod::kPost, "/write-to-online-store", {.verb = Verb::kPush}},
    {HttpMethod::kPost, "/feast/write-to-online-store", {.verb = Verb::kPush}},
});

}  // namespace

void SetRouteNeeds(protocols::HttpRouter& router) {
  for (const Row& row : kRows) router.Need(row.method, row.pattern, row.need);
}

}  // namespace headrace::wiring
