#pragma once
// HTTP/1.1 on a listener: a session per connection that parses, routes, and answers in the order of
// the requests.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "access/access_list.h"
#include "base/histogram.h"
#include "base/memory_budget.h"
#include "base/result.h"
#include "env/clock.h"
#include "env/network.h"
#include "protocols/browser_rules.h"
#include "protocols/http_parser.h"
#include "protocols/http_router.h"
#include "protocols/tls_serving.h"

namespace headrace::protocols {

struct HttpServerOptions {
  // Null: whoever connects may do everything. Outlives the server.
  const access::AccessList* access = nullptr;
  // Which Host a request may name (browser_rules.h).
  HostRule hosts = HostRule::kAny;
  // Null: no TLS. Outlives the server.
  TlsServing* tls = nullptr;
  HttpLimits limits;
  env::ConnectionLimits connection;
  size_t pipelined_max = 32;  // requests under way on a connection; beyond it, it is not read
  std::chrono::milliseconds header_time_max{
      10'000};  // from a request's first byte to the end of its head, else 408 and close
  std::chrono::milliseconds body_stall_max{
      30'000};  // between two pieces of a body, else 408 and close
};

// Thread-safe counters of a running server.
struct HttpCounters {
  uint64_t connections = 0;
  uint64_t requests = 0;
  uint64_t refused = 0;  // malformed or over a limit
};

// Outlived by network, router, clock and budget. Destroying it closes its connections.
class HttpServer {
 public:
  // Errors: those of env::Network::Listen. `budget` is charged for bodies (MemoryAccount::kIngest);
  // a body that does not fit is answered 503 with Retry-After.
  static base::Result<std::unique_ptr<HttpServer>> Start(env::Network& network, env::Clock& clock,
                                                         base::MemoryBudget& budget,
                                                         const HttpRouter& router,
                                                         const std::string& host, uint16_t port,
                                                         HttpServerOptions options = {});
  virtual ~HttpServer() = default;
  virtual uint16_t port() const = 0;
  // From the next request on, `router` answers; it outlives the server, as the one before it does.
  virtual void UseRouter(const HttpRouter& router) = 0;
  // Refuses new connections, answers what is under way (up to `grace`), closes.
  virtual void Drain(std::chrono::milliseconds grace) = 0;
  virtual HttpCounters counters() const = 0;
  // Microseconds from a request's last byte to its response's handing over to the socket.
  virtual const base::Histogram& serve_us() const = 0;
};

}  // namespace headrace::protocols
