#include "protocols/http_server.h"

#include "protocols/http_session.h"
#include "protocols/problem.h"

namespace headrace::protocols {
namespace {

// What a connection gets that is one too many, before it has asked for anything.
std::string OneTooMany() {
  std::string bytes;
  AppendResponse(ProblemResponse(base::Error(base::ErrorCode::kResourceExhausted,
                                             "too many connections are open: close some, or "
                                             "come back later"),
                                 503),
                 "", BodyPart::kSend, AfterResponse::kClose, bytes);
  return bytes;
}

// What a client gets that speaks plainly where TLS is spoken. For people: curl prints it.
std::string TellToSpeakTls() {
  std::string bytes;
  AppendResponse(
      HttpResponse::Text("this port speaks TLS: write https:// instead of http://\n", 400), "",
      BodyPart::kSend, AfterResponse::kClose, bytes);
  return bytes;
}

class ListeningServer final : public HttpServer {
 public:
  ListeningServer(env::Clock& clock, base::MemoryBudget& budget, const HttpRouter& router,
                  HttpServerOptions options)
      : serving_{
            .clock = clock, .budget = budget, .router = &router, .options = std::move(options)} {}

  base::Result<void> Listen(env::Network& network, const std::string& host, uint16_t port) {
    env::ConnectionLimits& limits = serving_.options.connection;
    limits.budget = &serving_.budget;
    limits.refusal = OneTooMany();
    env::SessionFactory factory = [this](env::Connection& connection) {
      return std::make_unique<HttpSession>(serving_, connection);
    };
    if (TlsServing* const tls = serving_.options.tls; tls != nullptr) {
      limits.connection_bytes += tls->limits.connection_charge_bytes;
      limits.refusal.clear();  // nobody would understand it before a handshake
      factory = OverTls(*tls, {"HTTP", "http/1.1", TellToSpeakTls()}, std::move(factory));
    }
    HR_TRY(listener_, network.Listen(host, port, serving_.options.connection, std::move(factory)));
    return {};
  }
  void UseRouter(const HttpRouter& router) override {
    serving_.router.store(&router, std::memory_order_release);
  }
  uint16_t port() const override { return listener_->port(); }
  void Drain(std::chrono::milliseconds grace) override { listener_->Drain(grace); }
  HttpCounters counters() const override {
    return {listener_->connections(), serving_.requests.load(std::memory_order_relaxed),
            serving_.refused.load(std::memory_order_relaxed)};
  }
  const base::Histogram& serve_us() const override { return serving_.serve_us; }

 private:
  HttpServing serving_;
  std::unique_ptr<env::Listener> listener_;  // goes first: its sessions use serving_
};

}  // namespace

base::Result<std::unique_ptr<HttpServer>> HttpServer::Start(
    env::Network& network, env::Clock& clock, base::MemoryBudget& budget, const HttpRouter& router,
    const std::string& host, uint16_t port, HttpServerOptions options) {
  auto server = std::make_unique<ListeningServer>(clock, budget, router, std::move(options));
  HR_TRY_VOID(server->Listen(network, host, port));
  return server;
}

}  // namespace headrace::protocols
