#include "hostile/small_engine.h"

#include <array>
#include <optional>

#include "ingest/http/events_endpoint.h"
#include "pipeline/pipeline_file.h"
#include "serving/resp/commands.h"
#include "wiring/http_verbs.h"
#include "wiring/lookback_questions.h"

namespace headrace::hostile {
namespace {

using base::Result;

constexpr uint16_t kHttpPort = 6566;
constexpr uint16_t kRespPort = 6379;
constexpr uint64_t kMachineSeed = 1;
constexpr base::Timestamp kWall{1'782'864'000'000'000};  // 2026-07-01T00:00:00Z

constexpr std::string_view kPipeline = R"yaml(headrace: 1
pipeline: payments
promise: {budget: {p99: 200ms}}
memory: 1GiB
streams:
  payments:
    contract: payments.yaml
    source: {http: push}
    time: {event: at, late: 1h}
views:
  card:
    from: payments
    by: card
    over: [1h, 1d]
    features: {n: count(*), spend: sum(amount), shops: "last_n(shop, 2)", big: last(amount > 5)}
  place: {from: payments, by: [card, shop], over: [1d], features: {n: count(*)}}
  person: {from: payments, by: card, over: [1d], features: {mail: last(email), n: count(*)}}
  mailbox: {from: payments, by: email, over: [1d], features: {n: count(*)}}
inputs: {limit: float64}
on_request: {ratio: card.spend_1h / nullif(limit, 0), mailed: "person.mail_1d = 'x'"}
services:
  scoring: {features: [card.*, place.n_1d, ratio], max_lag: 1h}
  letters: {features: [person.*]}
)yaml";

constexpr std::string_view kContract = R"yaml(apiVersion: v3.1.0
kind: DataContract
id: payments
version: 1.0.0
status: active
schema:
  - name: payments
    logicalType: object
    properties:
      - {name: card, logicalType: string, required: true}
      - {name: shop, logicalType: string, required: true}
      - {name: at, logicalType: timestamp, required: true}
      - {name: amount, logicalType: number}
      - {name: count, logicalType: integer}
      - {name: paid, logicalType: boolean}
      - {name: email, logicalType: string, classification: restricted}
)yaml";

constexpr std::string_view kRows =
    R"({"card":"c1","shop":"s:1","at":"2026-06-30T23:59:00Z","amount":1.5,"email":"a@b"}
{"card":"c2","shop":"s2","at":"2026-06-30T23:59:01Z","amount":7}
)";

// "reader" has the token "token-reader", and so on.
constexpr auto kCallers = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"reader", "read:scoring"},
    {"cards", "read:card,read:person"},
    {"all", "read"},
    {"private", "read,restricted"},
    {"pusher", "push:payments"},
    {"watcher", "watch"},
    {"admin", "admin"},
});
constexpr const char* kTokenFile = "tokens";

pipeline::PipelineRef Definition() {
  const auto contracts = [](const std::string&) -> Result<std::string> {
    return std::string(kContract);
  };
  const auto checked = pipeline::CheckPipeline("pipeline.yaml", std::string(kPipeline), contracts);
  HR_CHECK(checked.definition != nullptr, "the small engine's own pipeline is right");
  return checked.definition;
}

}  // namespace

std::string_view SmallPipeline::Pipeline() { return kPipeline; }
std::string_view SmallPipeline::Contract() { return kContract; }
std::string_view SmallPipeline::Rows() { return kRows; }

SmallEngine::SmallEngine(Asking asking)
    : machine_(std::make_unique<env::simulated::SimulatedEnvironment>(kMachineSeed)) {
  machine_->StepWall(kWall - machine_->clock().Wall());
  Run([this, asking] {
    if (asking == Asking::kTokens) WriteTokens();
    protocols::HttpServerOptions http_options{.access = access_.get()};
    http_options.hosts = access_ ? protocols::HostRule::kAny : protocols::HostRule::kLocal;
    protocols::RespServerOptions resp_options;
    if (access_) resp_options.authentication = protocols::Authentication::kFirst;
    auto core = wiring::Core::Start(*machine_,
                                    {.definition = Definition(), .data_folder = "data", .log = {}});
    HR_CHECK(core.has_value(), "the small engine starts");
    core_ = std::move(*core);
    gate_ = std::make_unique<wiring::LogGate>(*core_);
    events_ = machine_->NewExecutor("events", env::Priority::kRealTime);
    wiring::MountVerbs(router_, *core_, *gate_, *events_, wiring::DemoFaults::kOff);
    auto http = protocols::HttpServer::Start(network_, machine_->clock(), core_->budget(), router_,
                                             "127.0.0.1", kHttpPort, http_options);
    commands_ = serving::RespCommandHandlers(
        {.answers = &core_->answers(),
         .info = [] { return serving::ServerFigures{.version = "0"}; },
         .access = access_.get(),
         .past = std::make_shared<wiring::LookbackQuestions>(core_->lookback())});
    auto resp = protocols::RespServer::Start(network_, machine_->clock(), core_->budget(),
                                             commands_, "127.0.0.1", kRespPort, resp_options);
    HR_CHECK(http.has_value() && resp.has_value(), "a held network refuses nothing");
    http_ = std::move(*http);
    resp_ = std::move(*resp);
  });
  Settle();
  Feed();
}

SmallEngine::~SmallEngine() {
  machine_->Crash();
  http_.reset();
  resp_.reset();
  events_.reset();
  core_.reset();
}

void SmallEngine::WriteTokens() {
  std::string text;
  for (const auto& [name, scope] : kCallers)
    text += access::AccessLine(name, *access::Scope::Parse(scope), "token-" + std::string(name));
  auto file = machine_->files().OpenForWriting(kTokenFile, env::Files::Open::kCreateNew);
  HR_CHECK(file.has_value() &&
               (*file)->WriteAt(0, {reinterpret_cast<const uint8_t*>(text.data()), text.size()}),
           "the token file is written");
  auto list = access::AccessList::Open(machine_->files(), kTokenFile);
  HR_CHECK(list.has_value(), "the token file is right");
  access_ = std::move(*list);
}

void SmallEngine::Run(const std::function<void()>& talk) {
  HR_CHECK(machine_->Run(talk), "no crash was planned");
}

void SmallEngine::Settle() { machine_->RunUntilIdle(); }

void SmallEngine::Wait(HeldPeer& peer, std::chrono::milliseconds time) {
  constexpr std::chrono::milliseconds kTick{1000};
  for (auto waited = std::chrono::milliseconds(0); waited < time; waited += kTick) {
    machine_->RunFor(kTick);
    Run([&] { peer.Tick(machine_->clock().Now()); });
  }
  Settle();
}

void SmallEngine::Feed() {
  ingest::EventsRequest request{.stream = "payments",
                                .body = std::string(kRows),
                                .content_type = {},
                                .producer = {},
                                .sequence = {},
                                .idempotency_key = {}};
  request.body.reserve(request.body.size() + 64);
  std::optional<bool> taken;
  Run([&] {
    ingest::HandleEvents(std::move(request), *gate_, core_->budget(), {},
                         [&](const Result<ingest::EventsReply>& reply) {
                           taken = reply.has_value() && reply->status == 200;
                         });
  });
  machine_->RunUntil([&] { return taken.has_value(); });
  Settle();
  HR_CHECK(taken == true, "the small engine's rows go in");
}

std::unique_ptr<HeldPeer> SmallEngine::Dial(Protocol protocol) {
  std::unique_ptr<HeldPeer> peer;
  Run([&] { peer = network_.Dial(protocol == Protocol::kHttp ? kHttpPort : kRespPort); });
  return peer;
}

}  // namespace headrace::hostile
