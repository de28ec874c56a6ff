#include "ingest/flight/flight_server.h"

#include <arrow/flight/server.h>
#include <arrow/type.h>
#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>

#include "base/log.h"
#include "columns/arrow/arrow_bridge.h"
#include "columns/value.h"
#include "ingest/flight/batch_metadata.h"
#include "ingest/flight/exchange_stream.h"
#include "ingest/flight/flight_access.h"
#include "ingest/flight/flight_status.h"
#include "ingest/flight/get_stream.h"
#include "ingest/flight/put_stream.h"
#include "ingest/scoped_gate.h"

namespace headrace::ingest {
namespace {

namespace flight = arrow::flight;
using base::Error;
using base::ErrorCode;
using base::Fail;

constexpr std::chrono::milliseconds kPortTriedEvery{2};  // until a server before has let it go

// "last_sequence": where a producer stands, without opening a stream.
FlightAction LastSequenceAction(const StreamGate& gate) {
  return {.name = "last_sequence",
          .description =
              "body: {\"stream\":..,\"producer\":..}; answers "
              "{\"log\":..,\"last_sequence\":n}",
          .run = [&gate](const std::string& body) -> base::Result<std::vector<std::string>> {
            HR_TRY_VOID(gate.Ready());
            HR_TRY(const ProducerName asked, ReadProducerName(body));
            HR_TRY(const StreamHandle stream, gate.Find(asked.stream));
            std::string json = R"({"log":)";
            columns::AppendJsonString(json, gate.LogName());
            json += fmt::format(R"(,"last_sequence":{}}})",
                                gate.LastSequence(stream.id, asked.producer));
            return std::vector<std::string>{std::move(json)};
          }};
}

arrow::Result<flight::FlightInfo> InfoOf(const StreamHandle& stream) {
  return flight::FlightInfo::Make(columns::ToArrowSchema(*stream.contract->schema()),
                                  flight::FlightDescriptor::Path({stream.name}), /*endpoints=*/{},
                                  /*total_records=*/-1, /*total_bytes=*/-1);
}

// Rows that go out for as long as the token of their call holds.
class RowsOfToken final : public FlightRows {
 public:
  // The context outlives it.
  RowsOfToken(std::unique_ptr<FlightRows> rows, const flight::ServerCallContext& context)
      : rows_(std::move(rows)), context_(context) {}
  std::shared_ptr<arrow::Schema> schema() const override { return rows_->schema(); }
  base::Result<std::optional<FlightBatch>> Next() override {
    auto next = rows_->Next();
    HR_TRY_VOID(CheckToken(context_));  // also where they broke off because it does not
    return next;
  }
  std::string Summary() const override { return rows_->Summary(); }

 private:
  const std::unique_ptr<FlightRows> rows_;
  const flight::ServerCallContext& context_;
};

// Whether anybody listens there: gRPC would share the port and take every other call.
base::Result<void> TryPort(env::Network& network, const std::string& host, uint16_t port) {
  auto probe = network.Listen(host, port, {},
                              [](env::Connection&) { return std::unique_ptr<env::Session>(); });
  if (!probe) return Fail(std::move(probe).error());
  return {};
}

}  // namespace

// The verbs of Arrow Flight; each one only translates.
class FlightServer::Service final : public flight::FlightServerBase {
 public:
  Service(FlightServerOptions options, StreamGate& gate, base::MemoryBudget& budget,
          env::Environment& environment, std::vector<FlightAction> actions)
      : options_(std::move(options)),
        gate_(gate),
        budget_(budget),
        environment_(environment),
        actions_(std::move(actions)) {
    actions_.push_back(LastSequenceAction(gate));
  }

  arrow::Status DoPut(const flight::ServerCallContext& context,
                      std::unique_ptr<flight::FlightMessageReader> reader,
                      std::unique_ptr<flight::FlightMetadataWriter> writer) override;
  arrow::Status DoGet(const flight::ServerCallContext& context, const flight::Ticket& ticket,
                      std::unique_ptr<flight::FlightDataStream>* stream) override;
  arrow::Status DoExchange(const flight::ServerCallContext& context,
                           std::unique_ptr<flight::FlightMessageReader> reader,
                           std::unique_ptr<flight::FlightMessageWriter> writer) override;
  arrow::Status ListFlights(const flight::ServerCallContext& context,
                            const flight::Criteria* criteria,
                            std::unique_ptr<flight::FlightListing>* listings) override;
  arrow::Status GetFlightInfo(const flight::ServerCallContext& context,
                              const flight::FlightDescriptor& request,
                              std::unique_ptr<flight::FlightInfo>* info) override;
  arrow::Status DoAction(const flight::ServerCallContext& context, const flight::Action& action,
                         std::unique_ptr<flight::ResultStream>* result) override;
  arrow::Status ListActions(const flight::ServerCallContext& context,
                            std::vector<flight::ActionType>* actions) override;

  void UseReads(FlightReads& reads) { reads_.store(&reads, std::memory_order_release); }
  void UseExchanges(FlightExchanges& exchanges) {
    exchanges_.store(&exchanges, std::memory_order_release);
  }
  void Stop();
  // Takes no more calls, and ends those under way that are not over after `patience`.
  void Retire(std::chrono::microseconds patience);

 private:
  base::Result<FlightReads*> Reads() const;
  base::Result<std::unique_ptr<FlightRows>> OpenRows(const flight::ServerCallContext& context,
                                                     const std::string& ticket);
  arrow::Status OfferRows(const flight::ServerCallContext& context,
                          const flight::FlightDescriptor& request,
                          std::unique_ptr<flight::FlightInfo>* info);
  FlightCaller Calling(const flight::ServerCallContext& context) const;
  base::Result<std::shared_ptr<PutWindow>> OpenWindow();
  void CloseWindow(const std::shared_ptr<PutWindow>& window);

  const FlightServerOptions options_;
  StreamGate& gate_;
  base::MemoryBudget& budget_;
  env::Environment& environment_;
  std::vector<FlightAction> actions_;
  std::atomic<FlightReads*> reads_{nullptr};
  std::atomic<FlightExchanges*> exchanges_{nullptr};
  std::atomic<bool> stopped_{false};  // calls that wait look at it
  std::mutex mutex_;
  bool stopping_ = false;
  std::set<std::shared_ptr<PutWindow>> windows_;  // of the DoPut calls that run
};

base::Result<std::shared_ptr<PutWindow>> FlightServer::Service::OpenWindow() {
  const std::lock_guard lock(mutex_);
  if (stopping_)
    return Fail(ErrorCode::kUnavailable, "the server is stopping: repeat when it is back");
  auto window = std::make_shared<PutWindow>(options_.window_batches, options_.window_bytes);
  windows_.insert(window);
  return window;
}

void FlightServer::Service::CloseWindow(const std::shared_ptr<PutWindow>& window) {
  const std::lock_guard lock(mutex_);
  windows_.erase(window);
}

arrow::Status FlightServer::Service::DoPut(const flight::ServerCallContext& context,
                                           std::unique_ptr<flight::FlightMessageReader> reader,
                                           std::unique_ptr<flight::FlightMetadataWriter> writer) {
  auto window = OpenWindow();
  if (!window) return ToFlightStatus(window.error());
  const auto acknowledger = std::make_shared<PutAcknowledger>(
      environment_.NewExecutor("flight-acks", env::Priority::kRealTime), *writer, *window);
  ScopedGate gate(gate_, CallerOf(context));
  PutStream stream(options_, gate, budget_, *window, acknowledger, *reader);
  const base::Result<void> done = stream.Run();
  acknowledger->Close();
  CloseWindow(*window);
  if (done) return arrow::Status::OK();
  return ToFlightStatus(done.error());
}

base::Result<FlightReads*> FlightServer::Service::Reads() const {
  HR_TRY_VOID(gate_.Ready());
  FlightReads* reads = reads_.load(std::memory_order_acquire);
  if (reads != nullptr) return reads;
  return Fail(ErrorCode::kUnavailable, "nothing can be read yet: repeat in a moment");
}

arrow::Status FlightServer::Service::DoGet(const flight::ServerCallContext& context,
                                           const flight::Ticket& ticket,
                                           std::unique_ptr<flight::FlightDataStream>* stream) {
  auto rows = OpenRows(context, ticket.ticket);
  if (!rows) return ToFlightStatus(rows.error());
  *stream = MakeGetStream(std::move(*rows));
  return arrow::Status::OK();
}

// The context lives as long as the call, and the call's rows no longer.
base::Result<std::unique_ptr<FlightRows>> FlightServer::Service::OpenRows(
    const flight::ServerCallContext& context, const std::string& ticket) {
  HR_TRY(FlightReads * reads, Reads());
  HR_TRY(auto rows, reads->Open(ticket, Calling(context)));
  return std::make_unique<RowsOfToken>(std::move(rows), context);
}

FlightCaller FlightServer::Service::Calling(const flight::ServerCallContext& context) const {
  return {CallerOf(context), [this, &context] {
            return stopped_.load() || context.is_cancelled() || !CheckToken(context);
          }};
}

arrow::Status FlightServer::Service::DoExchange(
    const flight::ServerCallContext& context, std::unique_ptr<flight::FlightMessageReader> reader,
    std::unique_ptr<flight::FlightMessageWriter> writer) {
  const auto done = [&]() -> base::Result<void> {
    HR_TRY_VOID(gate_.Ready());
    FlightExchanges* exchanges = exchanges_.load(std::memory_order_acquire);
    if (exchanges == nullptr)
      return Fail(ErrorCode::kUnavailable, "nothing can be read yet: repeat in a moment");
    return ExchangeStream(budget_, *exchanges, *reader, *writer).Run(Calling(context));
  }();
  if (done) return arrow::Status::OK();
  const auto token = CheckToken(context);
  return ToFlightStatus(token ? done.error() : token.error());
}

arrow::Status FlightServer::Service::OfferRows(const flight::ServerCallContext& context,
                                               const flight::FlightDescriptor& request,
                                               std::unique_ptr<flight::FlightInfo>* info) {
  const auto reads = Reads();
  if (!reads) return ToFlightStatus(reads.error());
  const auto offer = (*reads)->MakeOffer(request.cmd, CallerOf(context));
  if (!offer) return ToFlightStatus(offer.error());
  flight::FlightEndpoint endpoint;  // without a location: from this server
  endpoint.ticket.ticket = offer->ticket;
  ARROW_ASSIGN_OR_RAISE(
      flight::FlightInfo made,
      flight::FlightInfo::Make(*offer->schema, request, {std::move(endpoint)}, /*total_records=*/-1,
                               /*total_bytes=*/-1));
  *info = std::make_unique<flight::FlightInfo>(std::move(made));
  return arrow::Status::OK();
}

arrow::Status FlightServer::Service::ListFlights(const flight::ServerCallContext& /*context*/,
                                                 const flight::Criteria* /*criteria*/,
                                                 std::unique_ptr<flight::FlightListing>* listings) {
  if (const auto ready = gate_.Ready(); !ready) return ToFlightStatus(ready.error());
  std::vector<flight::FlightInfo> infos;
  for (const StreamHandle& stream : gate_.Streams()) {
    ARROW_ASSIGN_OR_RAISE(flight::FlightInfo info, InfoOf(stream));
    infos.push_back(std::move(info));
  }
  *listings = std::make_unique<flight::SimpleFlightListing>(std::move(infos));
  return arrow::Status::OK();
}

arrow::Status FlightServer::Service::GetFlightInfo(const flight::ServerCallContext& context,
                                                   const flight::FlightDescriptor& request,
                                                   std::unique_ptr<flight::FlightInfo>* info) {
  if (request.type == flight::FlightDescriptor::CMD) return OfferRows(context, request, info);
  const auto stream = gate_.Find(request.path.empty() ? std::string_view()
                                                      : std::string_view(request.path.front()));
  if (!stream) return ToFlightStatus(stream.error());
  ARROW_ASSIGN_OR_RAISE(flight::FlightInfo made, InfoOf(*stream));
  *info = std::make_unique<flight::FlightInfo>(std::move(made));
  return arrow::Status::OK();
}

arrow::Status FlightServer::Service::DoAction(const flight::ServerCallContext& /*context*/,
                                              const flight::Action& action,
                                              std::unique_ptr<flight::ResultStream>* result) {
  const auto found = std::ranges::find(actions_, action.type, &FlightAction::name);
  if (found == actions_.end()) {
    return ToFlightStatus(
        Error(ErrorCode::kNotFound,
              fmt::format("no action `{}`: ListActions names those there are", action.type)));
  }
  auto texts = found->run(action.body == nullptr ? std::string() : action.body->ToString());
  if (!texts) return ToFlightStatus(texts.error());
  std::vector<flight::Result> results;
  for (std::string& text : *texts) results.push_back({arrow::Buffer::FromString(std::move(text))});
  *result = std::make_unique<flight::SimpleResultStream>(std::move(results));
  return arrow::Status::OK();
}

arrow::Status FlightServer::Service::ListActions(const flight::ServerCallContext& /*context*/,
                                                 std::vector<flight::ActionType>* actions) {
  for (const FlightAction& action : actions_) actions->push_back({action.name, action.description});
  return arrow::Status::OK();
}

void FlightServer::Service::Stop() {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
    stopped_.store(true);
    for (const auto& window : windows_)
      window->Fail(
          Error(ErrorCode::kUnavailable, "the server is stopping: repeat when it is back"));
  }
  Retire(options_.drain_max);
}

// A call that waits for its client's next message notices nothing: gRPC breaks it at the deadline.
void FlightServer::Service::Retire(std::chrono::microseconds patience) {
  const std::chrono::microseconds now(environment_.clock().Wall().us);
  const std::chrono::system_clock::time_point deadline(now + patience);
  arrow::Status status = Shutdown(&deadline);
  if (status.ok()) status = Wait();
  if (!status.ok()) base::LogWarning("ingest.flight_stop", {{"error", status.ToString()}});
}

base::Result<std::unique_ptr<FlightServer>> FlightServer::Start(
    FlightServerOptions options, StreamGate& gate, base::MemoryBudget& budget,
    env::Environment& environment, env::Network* network, std::vector<FlightAction> actions) {
  if (network != nullptr && options.port != 0)
    HR_TRY_VOID(TryPort(*network, options.host, options.port));
  auto server = std::unique_ptr<FlightServer>(
      new FlightServer(std::move(options), gate, budget, environment, network, std::move(actions)));
  HR_TRY(server->service_, server->MakeService());
  const uint16_t port = static_cast<uint16_t>(server->service_->port());
  server->options_.port = port;
  server->watch_ = ConnectionWatch::Make(
      environment, budget, {.port = port, .connections_max = server->options_.connections_max});
  return server;
}

base::Result<std::unique_ptr<FlightServer::Service>> FlightServer::MakeService() const {
  const std::optional<FlightTls>& tls = options_.tls;
  const auto location = tls ? flight::Location::ForGrpcTls(options_.host, options_.port)
                            : flight::Location::ForGrpcTcp(options_.host, options_.port);
  if (!location.ok())
    return Fail(
        Error(ErrorCode::kInvalidInput, location.status().message()).With("host", options_.host));
  auto service = std::make_unique<Service>(options_, gate_, budget_, environment_, actions_);
  if (reads_ != nullptr) service->UseReads(*reads_);
  if (exchanges_ != nullptr) service->UseExchanges(*exchanges_);
  flight::FlightServerOptions server(*location);
  if (options_.access != nullptr)
    server.middleware.emplace_back(kFlightAccess, MakeFlightAccess(*options_.access));
  server.middleware.emplace_back(kCallPlaces, MakeCallPlaces(options_.calls));
  if (tls) {
    server.tls_certificates.push_back({.pem_cert = tls->certificates, .pem_key = tls->key});
    server.verify_client = !tls->client_ca.empty();
    server.root_certificates = tls->client_ca;
  }
  const arrow::Status status = service->Init(server);
  if (!status.ok()) {
    return Fail(
        Error(ErrorCode::kIoError, fmt::format("can't listen for Flight: {}", status.message()))
            .With("address", fmt::format("{}:{}", options_.host, options_.port)));
  }
  return service;
}

FlightServer::FlightServer(FlightServerOptions options, StreamGate& gate,
                           base::MemoryBudget& budget, env::Environment& environment,
                           env::Network* network, std::vector<FlightAction> actions)
    : options_(std::move(options)),
      gate_(gate),
      budget_(budget),
      environment_(environment),
      network_(network),
      actions_(std::move(actions)) {}
FlightServer::~FlightServer() { Stop(); }
uint16_t FlightServer::port() const { return options_.port; }
void FlightServer::UseReads(FlightReads& reads) {
  reads_ = &reads;
  service_->UseReads(reads);
}
void FlightServer::UseExchanges(FlightExchanges& exchanges) {
  exchanges_ = &exchanges;
  service_->UseExchanges(exchanges);
}

base::Result<void> FlightServer::Renew(FlightTls tls) {
  options_.tls = std::move(tls);
  const env::MonotonicTime begin = environment_.clock().Now();
  // Its end waits for the calls of the service before.
  const auto retiring = environment_.NewExecutor("flight-retire", env::Priority::kBackground);
  if (service_ != nullptr)
    retiring->Post([service = std::move(service_), patience = options_.renewal_max] {
      service->Retire(patience);
    });
  HR_TRY(service_, FollowOn());
  const auto closed = environment_.clock().Now() - begin;
  base::LogInfo("ingest.flight_renewed",
                {{"port_closed_ms",
                  std::to_string(std::chrono::ceil<std::chrono::milliseconds>(closed).count())}});
  return {};
}

base::Result<std::unique_ptr<FlightServer::Service>> FlightServer::FollowOn() const {
  const auto waiting = environment_.NewExecutor("flight-port", env::Priority::kBackground);
  const env::MonotonicTime deadline = environment_.clock().Now() + options_.renewal_max;
  while (true) {
    base::Result<void> free;
    if (network_ != nullptr) free = TryPort(*network_, options_.host, options_.port);
    if (free) {
      auto service = MakeService();
      if (service) return service;
      free = Fail(service.error());
    }
    if (environment_.clock().Now() > deadline) return Fail(free.error());
    environment_.Await([&](const std::function<void()>& done) {
      waiting->PostAt(environment_.clock().Now() + kPortTriedEvery, done);
    });
  }
}

void FlightServer::Stop() {
  if (service_ != nullptr) service_->Stop();
}

}  // namespace headrace::ingest
