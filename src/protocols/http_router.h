#pragma once
// Which handler answers which method and path. Several rooms mount their verbs on one router, and
// so on one port.

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "access/scope.h"
#include "protocols/http_message.h"

namespace headrace::protocols {

// What a caller must be allowed for a route, where access is controlled.
struct RouteNeed {
  enum class Names : uint8_t {
    kAll,           // the verb for all names; of kRead, with restricted values
    kSome,          // for whatever name: the handler looks at the names itself
    kStreamOfPath,  // for {stream} of the pattern
    kNone,          // nothing: no token is needed
  };
  access::Verb verb = access::Verb::kAdmin;
  Names names = Names::kAll;
};

// Filled before the server starts, then read by every I/O thread.
class HttpRouter {
 public:
  // `pattern` is a path whose segments may be names in braces, each of which takes one non-empty
  // segment:
  // "/streams/{stream}/events". A pattern without braces wins over one with. Mounting the same
  // twice is an invariant.
  void Add(HttpMethod method, std::string_view pattern, HttpHandler handler);

  // What the route of this pattern needs, if it is mounted; a route of which nothing is said needs
  // kAdmin.
  void Need(HttpMethod method, std::string_view pattern, RouteNeed need);

  // Bodies of requests to the route of this pattern have at most so many bytes.
  void LimitBody(HttpMethod method, std::string_view pattern, uint64_t bytes_max);
  // How many a body may have by its route; `declared` by its head (all there are: it does not say).
  uint64_t BodyBytesMax(HttpMethod method, std::string_view path, uint64_t declared) const;

  // Requests to the route of this pattern begin when all before them on their connection are
  // answered: what they see is no older than what those saw. Answers leave in that order anyway.
  void BeginInTurn(HttpMethod method, std::string_view pattern);
  bool BeginsInTurn(HttpMethod method, std::string_view path) const;

  // Takes every request that no pattern matches, whatever its method.
  void AddOtherwise(HttpHandler handler) { otherwise_ = std::move(handler); }

  // What is mounted, in that order: method and pattern.
  std::vector<std::pair<HttpMethod, std::string>> Mounted() const;

  // Answers through the handler, or with a problem: 404 (no such path) or 405 with Allow (no such
  // method there). HEAD falls back to GET; the connection leaves the body out.
  void Dispatch(HttpRequest request, HttpReply reply) const;

 private:
  static constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();
  struct Route {
    HttpMethod method;
    std::vector<std::string> segments;  // "{stream}" kept with its braces
    size_t names = 0;                   // how many are in braces
    HttpHandler handler;
    RouteNeed need;
    uint64_t body_bytes_max = kNoLimit;
    bool in_turn = false;
  };
  // Best route for the path; `allowed` gathers the methods of all that match.
  const Route* Find(HttpMethod method, const std::vector<std::string_view>& segments,
                    std::string& allowed) const;

  // The route that was mounted with this pattern; null when there is none.
  Route* Mounted(HttpMethod method, std::string_view pattern);

  std::vector<Route> routes_;
  HttpHandler otherwise_;
  uint64_t least_body_max_ = kNoLimit;  // of all routes
};

}  // namespace headrace::protocols
