#include "simulation/http_front.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "protocols/problem.h"
#include "wiring/http_verbs.h"

namespace headrace::simulation {
namespace {

using base::ErrorCode;
using base::Result;
using Json = nlohmann::json;

constexpr uint16_t kPort = 6566;
constexpr const char* kLost = "the connection broke before the answer";

// A whole response at the front of `bytes`, taken off it.
std::optional<HttpFront::Reply> TakeReply(std::string& bytes) {
  const size_t head = bytes.find("\r\n\r\n");
  if (head == std::string::npos) return std::nullopt;
  std::string fields = bytes.substr(0, head);
  std::ranges::transform(fields, fields.begin(), [](unsigned char c) { return std::tolower(c); });
  size_t length = 0;
  if (const size_t at = fields.find("content-length: "); at != std::string::npos)
    std::from_chars(fields.data() + at + 16, fields.data() + fields.size(), length);
  if (bytes.size() < head + 4 + length) return std::nullopt;
  HttpFront::Reply reply;
  std::from_chars(bytes.data() + 9, bytes.data() + 12, reply.status);  // "HTTP/1.1 200 OK"
  reply.body = bytes.substr(head + 4, length);
  bytes.erase(0, head + 4 + length);
  return reply;
}

base::Error ErrorOf(const HttpFront::Reply& reply) {
  for (const base::ErrorCodeRow& row : base::ErrorCodes())
    if (reply.body.find("\"" + protocols::ProblemCode(row.code) + "\"") != std::string::npos)
      return {row.code, reply.body};
  return {ErrorCode::kInternal, fmt::format("HTTP {}: {}", reply.status, reply.body)};
}

Result<log::Acknowledgement> ToAcknowledgement(const HttpFront::Reply& reply) {
  const Json json = Json::parse(reply.body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("accepted")) return base::Fail(ErrorOf(reply));
  log::Acknowledgement ack;
  ack.epoch = {json["epoch"].get<uint64_t>()};
  ack.accepted = json["accepted"].get<uint64_t>();
  if (json["repeated"].get<bool>()) ack.repeat = log::Acknowledgement::Repeat::kRepeated;
  for (const Json& row : json["refused"])
    ack.refused.push_back({.row = row["row"].get<uint32_t>(),
                           .field = row["field"].get<std::string>(),
                           .rule = row["rule"].get<std::string>(),
                           .reason = row["reason"].get<std::string>(),
                           .payload = {}});
  return ack;
}

// Results are the key's column, then the features in the service's order.
Result<Asked> ToAsked(const HttpFront::Reply& reply, int64_t card) {
  const Json json = Json::parse(reply.body, nullptr, /*allow_exceptions=*/false);
  if (reply.status != 200 || !json.is_object()) return base::Fail(ErrorOf(reply));
  Asked asked{.card = card, .epoch = {json["headrace"]["epoch"].get<uint64_t>()}};
  const auto as_of = json["headrace"]["as_of"].get<std::string>();
  asked.as_of = base::Timestamp::Min();  // under `clock: events`, before the first row
  if (!as_of.starts_with('-')) {
    HR_TRY(asked.as_of, base::ParseTimestamp(as_of));
  }
  for (size_t i = 1; i < json["results"].size(); ++i) {
    const Json& value = json["results"][i]["values"][0];
    if (value.is_null()) {
      asked.values.push_back(columns::Value::Null(columns::Type::kFloat64));
    } else if (i <= 2) {
      asked.values.push_back(columns::Value::Int64(value.get<int64_t>()));
    } else {
      asked.values.push_back(columns::Value::Float64(value.get<double>()));
    }
  }
  return asked;
}

}  // namespace

HttpFront::HttpFront(env::simulated::SimulatedEnvironment& machine, wiring::Core& core,
                     env::simulated::NetworkFaults faults)
    : network_(machine, faults),
      gate_(core),
      events_(machine.NewExecutor("events", env::Priority::kRealTime)) {
  wiring::MountVerbs(router_, core, gate_, *events_, wiring::DemoFaults::kOff);
  auto server = protocols::HttpServer::Start(network_, machine.clock(), core.budget(), router_,
                                             "127.0.0.1", kPort);
  HR_CHECK(server.has_value(), "the simulated port is free");
  server_ = std::move(*server);
}

void HttpFront::Dial() {
  received_.clear();
  peer_ =
      network_.Dial(kPort, [this](std::string_view bytes) { OnBytes(bytes); }, [this] { OnEnd(); });
}

void HttpFront::Post(const std::string& path, const std::string& headers, const std::string& body,
                     Done done) {
  if (peer_ == nullptr || !peer_->open()) Dial();
  waiting_.push_back(std::move(done));
  peer_->Send(
      fmt::format("POST {} HTTP/1.1\r\nHost: localhost:6566\r\n{}Content-Length: {}\r\n\r\n{}",
                  path, headers, body.size(), body));
}

void HttpFront::OnBytes(std::string_view bytes) {
  received_ += bytes;
  while (auto reply = TakeReply(received_)) {
    if (waiting_.empty()) return;
    Done done = std::move(waiting_.front());
    waiting_.pop_front();
    done(std::move(reply));
  }
}

void HttpFront::OnEnd() {
  for (Done& done : std::exchange(waiting_, {})) done(std::nullopt);
}

void PostBatch(HttpFront& front, const Batch& batch, const std::string& producer,
               log::AckCallback done) {
  std::string headers = "Content-Type: application/x-ndjson\r\n";
  if (!producer.empty())
    headers +=
        fmt::format("Headrace-Producer: {}\r\nHeadrace-Sequence: {}\r\n", producer, batch.sequence);
  if (!batch.key.empty()) headers += fmt::format("Idempotency-Key: {}\r\n", batch.key);
  auto shared = std::make_shared<log::AckCallback>(std::move(done));
  front.Post(fmt::format("/streams/{}/events", kStream), headers, AsNdjson(batch.rows),
             [shared](std::optional<HttpFront::Reply> reply) {
               if (reply) {
                 (*shared)(ToAcknowledgement(*reply));
               } else {
                 (*shared)(base::Fail(ErrorCode::kUnavailable, kLost));
               }
             });
}

void PostQuestion(HttpFront& front, int64_t card, std::function<void(base::Result<Asked>)> done) {
  front.Post("/get-online-features", "Content-Type: application/json\r\n",
             fmt::format(R"({{"feature_service":"scoring","entities":{{"card":[{}]}}}})", card),
             [card, done = std::move(done)](std::optional<HttpFront::Reply> reply) {
               if (reply) {
                 done(ToAsked(*reply, card));
               } else {
                 done(base::Fail(ErrorCode::kUnavailable, kLost));
               }
             });
}

}  // namespace headrace::simulation
