#include "protocols/resp_server.h"

#include "protocols/resp_session.h"

namespace headrace::protocols {
namespace {

constexpr std::string_view kSpeakTls =
    "-ERR this port speaks TLS: connect with TLS (redis-cli --tls, rediss://)\r\n";

class ListeningServer final : public RespServer {
 public:
  ListeningServer(env::Clock& clock, base::MemoryBudget& budget, const RespHandlers& handlers,
                  RespServerOptions options)
      : serving_{.clock = clock,
                 .budget = budget,
                 .handlers = &handlers,
                 .options = std::move(options)} {}

  base::Result<void> Listen(env::Network& network, const std::string& host, uint16_t port) {
    env::ConnectionLimits& limits = serving_.options.connection;
    limits.budget = &serving_.budget;
    limits.refusal = "-ERR max number of clients reached: close some, or come back later\r\n";
    env::SessionFactory factory = [this](env::Connection& connection) {
      return std::make_unique<RespSession>(serving_, connection);
    };
    if (TlsServing* const tls = serving_.options.tls; tls != nullptr) {
      limits.connection_bytes += tls->limits.connection_charge_bytes;
      limits.refusal.clear();  // nobody would understand it before a handshake
      factory = OverTls(*tls, {"RESP", "", std::string(kSpeakTls)}, std::move(factory));
    }
    HR_TRY(listener_, network.Listen(host, port, limits, std::move(factory)));
    return {};
  }
  uint16_t port() const override { return listener_->port(); }
  void UseHandlers(const RespHandlers& handlers) override {
    serving_.handlers.store(&handlers, std::memory_order_release);
  }
  void Drain(std::chrono::milliseconds grace) override { listener_->Drain(grace); }
  RespCounters counters() const override {
    return {listener_->connections(), serving_.commands.load(std::memory_order_relaxed),
            serving_.refused.load(std::memory_order_relaxed)};
  }

 private:
  RespServing serving_;
  std::unique_ptr<env::Listener> listener_;  // goes first: its sessions use serving_
};

}  // namespace

base::Result<std::unique_ptr<RespServer>> RespServer::Start(env::Network& network,
                                                            env::Clock& clock,
                                                            base::MemoryBudget& budget,
                                                            const RespHandlers& handlers,
                                                            const std::string& host, uint16_t port,
                                                            RespServerOptions options) {
  auto server = std::make_unique<ListeningServer>(clock, budget, handlers, std::move(options));
  HR_TRY_VOID(server->Listen(network, host, port));
  return server;
}

}  // namespace headrace::protocols
