#include "protocols/http_router.h"

#include <algorithm>

#include "protocols/problem.h"

namespace headrace::protocols {
namespace {

bool IsName(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

// "/a/b" is {"a", "b"}, "/" is {""}.
std::vector<std::string_view> Split(std::string_view path) {
  std::vector<std::string_view> segments;
  if (path.starts_with('/')) path.remove_prefix(1);
  while (true) {
    const size_t slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

bool Matches(const std::vector<std::string>& pattern,
             const std::vector<std::string_view>& segments) {
  return std::equal(pattern.begin(), pattern.end(), segments.begin(), segments.end(),
                    [](const std::string& wanted, std::string_view given) {
                      return IsName(wanted) ? !given.empty() : wanted == given;
                    });
}

bool MayPass(const RouteNeed& need, const HttpRequest& request) {
  const access::Scope& scope = request.caller->scope;
  switch (need.names) {
    case RouteNeed::Names::kNone: return true;
    case RouteNeed::Names::kSome: return scope.AllowsSome(need.verb);
    case RouteNeed::Names::kStreamOfPath:
      return scope.Allows(need.verb, request.Parameter("stream"));
    case RouteNeed::Names::kAll: break;
  }
  return need.verb == access::Verb::kRead ? scope.ReadsEverything() : scope.AllowsAll(need.verb);
}

HttpResponse NotAllowed(const RouteNeed& need, const HttpRequest& request) {
  if (request.caller == access::Nobody())
    return ProblemResponse(
        {base::ErrorCode::kUnauthorized, "this needs a token: send Authorization: Bearer TOKEN"});
  std::string what(access::NameOf(need.verb));
  if (need.names == RouteNeed::Names::kStreamOfPath)
    what.append(":").append(request.Parameter("stream"));
  const bool reads_all = need.verb == access::Verb::kRead && need.names == RouteNeed::Names::kAll;
  if (reads_all) what += ",restricted";
  return ProblemResponse(
      base::Error(base::ErrorCode::kUnauthorized, "the scopes of this token do not allow it")
          .With("token", request.caller->name)
          .With("needs", what),
      403);
}

}  // namespace

HttpRouter::Route* HttpRouter::Mounted(HttpMethod method, std::string_view pattern) {
  const std::vector<std::string_view> segments = Split(pattern);
  for (Route& route : routes_)
    if (route.method == method && std::ranges::equal(route.segments, segments)) return &route;
  return nullptr;
}

void HttpRouter::Need(HttpMethod method, std::string_view pattern, RouteNeed need) {
  if (Route* const route = Mounted(method, pattern)) route->need = need;
}

void HttpRouter::LimitBody(HttpMethod method, std::string_view pattern, uint64_t bytes_max) {
  Route* const route = Mounted(method, pattern);
  HR_CHECK(route != nullptr, "a limit is of a route");
  route->body_bytes_max = bytes_max;
  least_body_max_ = std::min(least_body_max_, bytes_max);
}

void HttpRouter::BeginInTurn(HttpMethod method, std::string_view pattern) {
  Route* const route = Mounted(method, pattern);
  HR_CHECK(route != nullptr, "what begins in turn is a route");
  route->in_turn = true;
}

bool HttpRouter::BeginsInTurn(HttpMethod method, std::string_view path) const {
  std::string allowed;
  const Route* const route = Find(method, Split(path), allowed);
  return route != nullptr && route->in_turn;
}

uint64_t HttpRouter::BodyBytesMax(HttpMethod method, std::string_view path,
                                  uint64_t declared) const {
  if (declared <= least_body_max_) return kNoLimit;
  std::string allowed;
  const Route* const route = Find(method, Split(path), allowed);
  return route == nullptr ? kNoLimit : route->body_bytes_max;
}

void HttpRouter::Add(HttpMethod method, std::string_view pattern, HttpHandler handler) {
  Route route{method, {}, 0, std::move(handler), {}};
  for (const std::string_view segment : Split(pattern)) {
    route.segments.emplace_back(segment);
    route.names += IsName(segment) ? 1 : 0;
  }
  for (const Route& other : routes_)
    HR_CHECK(other.method != method || other.segments != route.segments,
             "two handlers for one route");
  routes_.push_back(std::move(route));
}

std::vector<std::pair<HttpMethod, std::string>> HttpRouter::Mounted() const {
  std::vector<std::pair<HttpMethod, std::string>> mounted;
  for (const Route& route : routes_) {
    std::string pattern;
    for (const std::string& segment : route.segments) pattern.append("/").append(segment);
    mounted.emplace_back(route.method, std::move(pattern));
  }
  return mounted;
}

const HttpRouter::Route* HttpRouter::Find(HttpMethod method,
                                          const std::vector<std::string_view>& segments,
                                          std::string& allowed) const {
  const Route* best = nullptr;
  const Route* best_get = nullptr;
  auto better = [](const Route& route, const Route* than) {
    return than == nullptr || route.names < than->names;
  };
  for (const Route& route : routes_) {
    if (!Matches(route.segments, segments)) continue;
    if (route.method == method && better(route, best)) best = &route;
    if (route.method == HttpMethod::kGet && better(route, best_get)) best_get = &route;
    if (!allowed.empty()) allowed += ", ";
    allowed += NameOf(route.method);
  }
  return best == nullptr && method == HttpMethod::kHead ? best_get : best;
}

void HttpRouter::Dispatch(HttpRequest request, HttpReply reply) const {
  using base::Error;
  using base::ErrorCode;
  const std::vector<std::string_view> segments = Split(request.path);
  std::string allowed;
  const Route* route = Find(request.method, segments, allowed);
  if (route != nullptr) {
    for (size_t i = 0; i < segments.size(); ++i) {
      const std::string& name = route->segments[i];
      if (IsName(name))
        request.parameters.emplace_back(name.substr(1, name.size() - 2), segments[i]);
    }
    if (request.caller != nullptr && !MayPass(route->need, request))
      return reply.Send(NotAllowed(route->need, request));
    return route->handler(std::move(request), std::move(reply));
  }
  if (allowed.empty() && otherwise_) return otherwise_(std::move(request), std::move(reply));
  if (allowed.empty())
    return reply.Send(ProblemResponse(
        Error(ErrorCode::kNotFound, "there is no such path").With("path", request.path)));
  HttpResponse response =
      ProblemResponse(Error(ErrorCode::kInvalidInput,
                            "this path does not take " + std::string(NameOf(request.method)))
                          .With("path", request.path)
                          .With("allowed", allowed),
                      405);
  response.fields.push_back({"Allow", std::move(allowed)});
  reply.Send(std::move(response));
}

}  // namespace headrace::protocols
