// An engine is a core behind two servers, which listen before the core is there:
//  1. Listen: pipeline file and ports, so that what is wrong with them is found out before the log
//     is touched. A router and a gate that only tell the progress answer from here on.
//  2. Recover: the core starts; then the router and the gate of the real verbs take their place.
#include "wiring/engine.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "env/allocator.h"
#include "env/network.h"
#include "ingest/flight/flight_server.h"
#include "protocols/http_router.h"
#include "protocols/http_server.h"
#include "protocols/resp_server.h"
#include "serving/resp/commands.h"
#include "watch/memory_watch.h"
#include "wiring/exposure.h"
#include "wiring/flight_verbs.h"
#include "wiring/http_verbs.h"
#include "wiring/log_gate.h"
#include "wiring/lookback_questions.h"
#include "wiring/pipeline_folder.h"
#include "wiring/starting.h"
#include "wiring/table_scans.h"
#include "wiring/tls_ports.h"
#include "wiring/token_watch.h"

namespace headrace::wiring {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

constexpr uint16_t kPortsTried = 20;  // a default port moves by at most this many
constexpr size_t kOtherFiles = 512;   // segments, tables, ports: no connections
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

struct ConnectionShares {
  size_t each = 0;  // of HTTP and of the Redis protocol
  size_t flight = 0;
};
// As many as the system lets us have files open, less those that the rest needs. Flight may be over
// its share for as long as nobody looks, so it counts twice.
ConnectionShares ShareConnections(size_t ports) {
  const size_t wanted = env::ConnectionLimits().connections_max;
  const size_t flight = ingest::FlightServerOptions().connections_max;
  const size_t needed = ports * wanted + 2 * flight + kOtherFiles;
  const uint64_t files = env::RaiseOpenFilesMax(needed);
  if (files >= needed) return {.each = wanted, .flight = flight};
  ConnectionShares shares;
  shares.flight = std::min<size_t>(flight, files / 16);
  const size_t others = 2 * shares.flight + std::min<size_t>(kOtherFiles, files / 2);
  shares.each = (files - others) / ports;
  base::LogWarning("wiring.few_open_files",
                   {{"open_files_max", std::to_string(files)},
                    {"connections_max", std::to_string(shares.each)},
                    {"flight_connections_max", std::to_string(shares.flight)},
                    {"wanted", std::to_string(wanted)},
                    {"how", "raise the hard limit: ulimit -Hn, LimitNOFILE="}});
  return shares;
}

class RunningEngine final : public Engine {
 public:
  explicit RunningEngine(EngineOptions options)
      : options_(std::move(options)),
        environment_(env::MakeRealEnvironment()),
        network_(env::MakeRealNetwork(environment_->clock(), options_.io_threads)),
        progress_(environment_->clock()),
        starting_gate_(progress_) {}

  ~RunningEngine() override { Stop(); }

  Result<void> Listen() {
    HR_TRY_VOID(OpenAccess());
    HR_TRY(definition_, ReadPipeline(environment_->files(), options_.pipeline_path));
    env::FitAllocatorTo(definition_->memory_bytes);
    budget_ = std::make_unique<base::MemoryBudget>(definition_->memory_bytes);
    memory_ = watch::MemoryWatch::Make(*environment_, *budget_);
    MountStarting(starting_router_, definition_->name, progress_);
    protocols::HttpServerOptions http;
    http.access = access_.get();
    if (options_.tls) {
      HR_TRY(tls_, TlsPorts::Open(*environment_, *budget_, *options_.tls));
      http.tls = &tls_->serving();
    }
    // A page has neither a token nor a certificate, but it can have a name that leads here.
    const bool known = access_ || (tls_ && tls_->asks_clients());
    http.hosts = known ? protocols::HostRule::kAny : protocols::HostRule::kLocal;
    const ConnectionShares connections = ShareConnections(options_.resp ? 2 : 1);
    http.connection.connections_max = connections.each;
    HR_TRY(http_, ListenOrMove("HTTP", options_.http, [&](uint16_t port) {
             return protocols::HttpServer::Start(*network_, environment_->clock(), *budget_,
                                                 starting_router_, options_.http.host, port, http);
           }));
    HR_TRY(flight_, ListenOrMove("Flight", options_.flight, [&](uint16_t port) {
             ingest::FlightServerOptions flight;
             flight.host = options_.flight.host;
             flight.port = port;
             flight.connections_max = connections.flight;
             flight.access = access_.get();
             if (tls_) flight.tls = FlightTlsOf(tls_->texts());
             return ingest::FlightServer::Start(flight, starting_gate_, *budget_, *environment_,
                                                network_.get(), {});
           }));
    if (!options_.resp) return {};
    starting_commands_ = serving::RespStartingHandlers(
        {.answers = nullptr, .info = [this] { return Info(); }, .access = access_.get()},
        [this] { return ProgressText(progress_.figures()); });
    protocols::RespServerOptions resp;
    if (access_) resp.authentication = protocols::Authentication::kFirst;
    resp.connection.connections_max = http.connection.connections_max;
    resp.tls = http.tls;
    HR_TRY(resp_, ListenOrMove("RESP", *options_.resp, [&](uint16_t port) {
             return protocols::RespServer::Start(*network_, environment_->clock(), *budget_,
                                                 starting_commands_, options_.resp->host, port,
                                                 resp);
           }));
    listening_resp_.store(resp_.get(), std::memory_order_release);
    return {};
  }

  Result<void> Recover() override {
    HR_TRY(core_, Core::Start(*environment_, {.definition = definition_,
                                              .data_folder = options_.data_folder,
                                              .pipeline_folder = FolderOf(options_.pipeline_path),
                                              .log = {},
                                              .answers_file = options_.answers_file,
                                              .budget = budget_.get(),
                                              .progress = &progress_,
                                              .background = [this] { return Background(); },
                                              .tls = [this] { return TlsFigures(); }}));
    StartGoverning();
    gate_ = std::make_unique<LogGate>(*core_);
    events_ = environment_->NewExecutor("events", env::Priority::kRealTime);
    questions_ = std::make_shared<LookbackQuestions>(core_->lookback());
    MountVerbs(router_, *core_, *gate_, *events_, options_.demo_faults, questions_);
    progress_.Begin(log::RecoveryPhase::kReady, 0);
    starting_gate_.Open(*gate_);
    flight_verbs_ = std::make_unique<FlightVerbs>(*core_, *gate_, *environment_, *budget_);
    flight_->UseReads(*flight_verbs_);
    flight_->UseExchanges(*flight_verbs_);
    http_->UseRouter(router_);
    if (tls_)
      tls_->StartLooking(
          [this](const protocols::TlsTexts& texts) { return flight_->Renew(FlightTlsOf(texts)); });
    if (!resp_) return {};
    commands_ =
        serving::RespCommandHandlers({.answers = &core_->answers(),
                                      .info = [this] { return Info(); },
                                      .access = access_.get(),
                                      .gate = gate_.get(),
                                      .pushes = &core_->pushes(),
                                      .budget = budget_.get(),
                                      .typing = std::make_shared<ingest::TypingQueue>(*events_),
                                      .past = questions_});
    recovered_.store(true, std::memory_order_release);
    resp_->UseHandlers(commands_);
    return {};
  }

  void CancelRecovery() override { progress_.Cancel(); }
  log::RecoveryFigures recovery() const override { return progress_.figures(); }
  uint16_t http_port() const override { return http_->port(); }
  uint16_t flight_port() const override { return flight_->port(); }
  std::optional<uint16_t> resp_port() const override {
    return resp_ ? std::optional(resp_->port()) : std::nullopt;
  }
  Core& core() override { return *core_; }

  void Stop() override {
    if (std::exchange(stopped_, true)) return;
    if (core_) core_->scans().Close();
    if (tls_) tls_->StopLooking();
    if (flight_) flight_->Stop();
    if (http_) http_->Drain(kDrainGrace);
    if (resp_) resp_->Drain(kDrainGrace);
    StopGoverning();
    memory_.reset();
    if (core_) core_->Stop();
    if (questions_) questions_->Close();
  }

 private:
  // Before any port is open.
  Result<void> OpenAccess() {
    const bool tokens = !options_.tokens_file.empty();
    const bool certificates = options_.tls && !options_.tls->client_ca.empty();
    const Callers callers = tokens || certificates ? Callers::kKnown : Callers::kAnybody;
    HR_TRY_VOID(CheckExposure("HTTP", options_.http.host, callers));
    HR_TRY_VOID(CheckExposure("Flight", options_.flight.host, callers));
    if (options_.resp) HR_TRY_VOID(CheckExposure("RESP", options_.resp->host, callers));
    if (!tokens) return {};
    HR_TRY(access_, access::AccessList::Open(environment_->files(), options_.tokens_file));
    token_watch_ = std::make_unique<TokenWatch>(*environment_, *access_);
    const bool local = IsLoopback(options_.http.host) && IsLoopback(options_.flight.host) &&
                       (!options_.resp || IsLoopback(options_.resp->host));
    if (!local && !options_.tls)
      base::LogWarning("wiring.no_tls",
                       {{"how",
                         "tokens and values cross the network as they are: start with --tls-cert "
                         "and --tls-key, keep the network private, or put a proxy that speaks TLS "
                         "in front"}});
    return {};
  }
  static ingest::FlightTls FlightTlsOf(protocols::TlsTexts texts) {
    return {.certificates = std::move(texts.certificate),
            .key = std::move(texts.key),
            .client_ca = std::move(texts.peer_ca)};
  }
  std::optional<watch::TlsFigures> TlsFigures() const {
    return tls_ ? std::optional(tls_->figures()) : std::nullopt;
  }
  void StartGoverning() {
    if (options_.governing == Governing::kOff) return;
    auto governor = watch::Governor::Make(*environment_, plan::DivideBudget(definition_->promise),
                                          core_->stages(), {.data_folder = options_.data_folder});
    const std::lock_guard lock(governor_mutex_);
    governor_ = std::move(governor);
  }
  // The last table commits wait for nobody.
  void StopGoverning() {
    const std::lock_guard lock(governor_mutex_);
    governor_.reset();
  }
  std::optional<watch::GovernorFigures> Background() const {
    const std::lock_guard lock(governor_mutex_);
    if (!governor_) return std::nullopt;
    return governor_->figures();
  }

  // Of the Redis protocol's INFO. On its I/O threads.
  serving::ServerFigures Info() const {
    serving::ServerFigures info;
    info.version = options_.version;
    info.uptime_s = static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(environment_->clock().Now() - began_)
            .count());
    info.memory_bytes = budget_->used_bytes() + budget_->uncharged_bytes();
    info.memory_bytes_max = budget_->limit_bytes();
    if (const auto* resp = listening_resp_.load(std::memory_order_acquire)) {
      const protocols::RespCounters counters = resp->counters();
      info.port = resp->port();
      info.connections = counters.connections;
      info.commands = counters.commands;
    }
    if (!recovered_.load(std::memory_order_acquire)) return info;
    info.log = core_->log_status().log.ToString();
    info.epoch = core_->visible().value;
    return info;
  }

  const EngineOptions options_;
  bool stopped_ = false;
  std::unique_ptr<env::Environment> environment_;
  env::MonotonicTime began_ = environment_->clock().Now();
  std::unique_ptr<access::AccessList> access_;  // null: whoever connects may do everything
  std::unique_ptr<TokenWatch> token_watch_;
  std::unique_ptr<env::Network> network_;
  pipeline::PipelineRef definition_;
  std::unique_ptr<base::MemoryBudget> budget_;
  std::unique_ptr<watch::MemoryWatch> memory_;
  std::unique_ptr<TlsPorts> tls_;  // null: none is spoken. Goes after the servers
  log::RecoveryProgress progress_;
  StartingGate starting_gate_;
  protocols::HttpRouter starting_router_;
  mutable std::mutex governor_mutex_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<watch::Governor> governor_;  // goes before the core, whose times it reads
  std::unique_ptr<LogGate> gate_;
  std::unique_ptr<FlightVerbs> flight_verbs_;
  std::unique_ptr<env::Executor> events_;
  std::shared_ptr<LookbackQuestions> questions_;
  protocols::HttpRouter router_;
  std::atomic<bool> recovered_{false};
  protocols::RespHandlers starting_commands_;
  protocols::RespHandlers commands_;
  std::unique_ptr<protocols::HttpServer> http_;
  std::unique_ptr<protocols::RespServer> resp_;
  // resp_, for its own threads, which may ask before Listen has taken it.
  std::atomic<const protocols::RespServer*> listening_resp_{nullptr};
  std::unique_ptr<ingest::FlightServer> flight_;
};

}  // namespace

Result<std::unique_ptr<Engine>> Engine::Listen(EngineOptions options) {
  auto engine = std::make_unique<RunningEngine>(std::move(options));
  HR_TRY_VOID(engine->Listen());
  return engine;
}

}  // namespace headrace::wiring
