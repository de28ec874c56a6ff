// An engine is a core behind two servers. What can be wrong with files and ports is found out
// before the log is touched.
#include "wiring/engine.h"

#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "env/network.h"
#include "ingest/flight/flight_server.h"
#include "protocols/http_router.h"
#include "protocols/http_server.h"
#include "wiring/http_verbs.h"
#include "wiring/log_gate.h"
#include "wiring/pipeline_folder.h"

namespace headrace::wiring {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

constexpr uint16_t kPortsTried = 20;  // a default port moves by at most this many
constexpr std::chrono::milliseconds kDrainGrace{5'000};  // requests under way at a stop

// Calls `listen` with the port, then, for a default one that is in use, with those after it.
template <typename Listen>
auto ListenOrMove(std::string_view what, const ListenAddress& address, Listen listen)
    -> decltype(listen(uint16_t{0})) {
  auto server = listen(address.port);
  if (server || server.error().code() != ErrorCode::kAlreadyExists) return server;
  if (address.chosen == ListenAddress::Chosen::kByUser)
    return Fail(base::Error(
        ErrorCode::kAlreadyExists,
        fmt::format("port {} for {} is in use: stop what listens there, or choose another port",
                    address.port, what)));
  for (uint16_t step = 1; step <= kPortsTried && !server; ++step) {
    server = listen(static_cast<uint16_t>(address.port + step));
    if (server)
      base::LogWarning("wiring.port_moved", {{"server", std::string(what)},
                                             {"taken", std::to_string(address.port)},
                                             {"port", std::to_string(address.port + step)}});
  }
  return server;
}

class RunningEngine final : public Engine {
 public:
  explicit RunningEngine(EngineOptions options)
      : options_(std::move(options)),
        environment_(env::MakeRealEnvironment()),
        network_(env::MakeRealNetwork(environment_->clock())) {}

  ~RunningEngine() override { Stop(); }

  Result<void> Open() {
    HR_TRY(const pipeline::PipelineRef definition,
           ReadPipeline(environment_->files(), options_.pipeline_path));
    HR_TRY(core_, Core::Start(*environment_, {.definition = definition,
                                              .data_folder = options_.data_folder,
                                              .log = {},
                                              .answers_file = options_.answers_file}));
    gate_ = std::make_unique<LogGate>(*core_);
    events_ = environment_->NewExecutor("events", env::Priority::kRealTime);
    MountVerbs(router_, *core_, *gate_, *events_, options_.demo_faults);
    HR_TRY(http_, ListenOrMove("HTTP", options_.http, [&](uint16_t port) {
             return protocols::HttpServer::Start(*network_, environment_->clock(), core_->budget(),
                                                 router_, options_.http.host, port);
           }));
    HR_TRY(flight_, ListenOrMove("Flight", options_.flight, [&](uint16_t port) {
             ingest::FlightServerOptions flight;
             flight.host = options_.flight.host;
             flight.port = port;
             return ingest::FlightServer::Start(flight, *gate_, core_->budget(), *environment_,
                                                network_.get(), {});
           }));
    return {};
  }

  uint16_t http_port() const override { return http_->port(); }
  uint16_t flight_port() const override { return flight_->port(); }
  Core& core() override { return *core_; }

  void Stop() override {
    if (std::exchange(stopped_, true)) return;
    if (flight_) flight_->Stop();
    if (http_) http_->Drain(kDrainGrace);
    if (core_) core_->Stop();
  }

 private:
  const EngineOptions options_;
  bool stopped_ = false;
  std::unique_ptr<env::Environment> environment_;
  std::unique_ptr<env::Network> network_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<LogGate> gate_;
  std::unique_ptr<env::Executor> events_;
  protocols::HttpRouter router_;
  std::unique_ptr<protocols::HttpServer> http_;
  std::unique_ptr<ingest::FlightServer> flight_;
};

}  // namespace

Result<std::unique_ptr<Engine>> Engine::Start(EngineOptions options) {
  auto engine = std::make_unique<RunningEngine>(std::move(options));
  HR_TRY_VOID(engine->Open());
  return engine;
}

}  // namespace headrace::wiring
