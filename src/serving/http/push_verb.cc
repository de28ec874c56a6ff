#include "serving/http/push_verb.h"

#include <charconv>
#include <iterator>

#include <fmt/format.h>

#include "columns/value.h"
#include "ingest/outcome_json.h"
#include "ingest/typing_queue.h"
#include "protocols/problem.h"

namespace headrace::serving {
namespace {

using base::ErrorCode;
using base::Fail;
using protocols::HttpMethod;
using protocols::HttpReply;
using protocols::HttpRequest;
using protocols::HttpResponse;

constexpr std::string_view kInput = "input.";
constexpr size_t kRefusedListedMax = 1;  // a push is of one event

std::optional<std::string> FieldOf(const HttpRequest& request, std::string_view name) {
  const auto value = request.Field(name);
  return value ? std::optional<std::string>(*value) : std::nullopt;
}

base::Result<std::chrono::milliseconds> DeadlineOf(std::string_view text) {
  uint32_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size())
    return Fail(ErrorCode::kInvalidInput,
                fmt::format("deadline_ms `{}` is no whole number of milliseconds", text));
  return std::chrono::milliseconds(count);
}

base::Result<void> ReadParameter(std::string_view name, const std::string& value,
                                 PushRequest& push) {
  if (name == "service") {
    push.service = value;
  } else if (name == "deadline_ms") {
    HR_TRY(push.deadline, DeadlineOf(value));
  } else if (name == "at_deadline") {
    push.at_deadline = pipeline::AtDeadlineNamed(value);
    if (!push.at_deadline)
      return Fail(ErrorCode::kInvalidInput,
                  fmt::format("at_deadline `{}` is none of last_known, defaults, refuse", value));
  } else if (name == "refused") {
    if (value != "answered" && value != "told")
      return Fail(ErrorCode::kInvalidInput,
                  fmt::format("refused `{}` is none of told, answered", value));
    if (value == "answered") push.refused = PushRequest::Refused::kAnswered;
  } else if (name == "answer") {
    const auto wanted = WantedNamed(value);
    if (!wanted)
      return Fail(ErrorCode::kInvalidInput,
                  fmt::format("answer `{}` is none of durable, provisional", value));
    push.answer = *wanted;
  } else if (name.starts_with(kInput)) {
    push.inputs.push_back(
        {std::string(name.substr(kInput.size())), {columns::Value::String(value)}});
  } else {
    return Fail(ErrorCode::kInvalidInput,
                fmt::format("`{}` is no parameter of a push: service, deadline_ms, at_deadline, "
                            "refused, answer, input.NAME",
                            name));
  }
  return {};
}

// What the answer says of the event, without braces.
void AppendEvent(std::string& out, const PushAnswer& answer) {
  fmt::format_to(std::back_inserter(out), R"("state":"{}")", NameOf(answer.event));
  if (answer.event == PushedEvent::kUnknown) {
    fmt::format_to(std::back_inserter(out), R"(,"token":"{0}","ask":"/pushes/{0}")", answer.token);
    if (answer.answered == PushAnswered::kProvisional)
      fmt::format_to(std::back_inserter(out), R"(,"durable":false,"after_epoch":{})",
                     answer.features->epoch.value);
    return;
  }
  out += ',';
  ingest::AppendOutcomeMembers(out, *answer.outcome, kRefusedListedMax);
  if (answer.event != PushedEvent::kRefused) return;
  out += R"(,"kept_in":)";
  columns::AppendJsonString(out, fmt::format("/deadletters?stream={}&after={}&limit=100",
                                             answer.stream, answer.outcome->epoch.value - 1));
}

template <typename Append>
void AppendMap(std::string& out, std::string_view name, const FeatureAnswer& features,
               Append append) {
  fmt::format_to(std::back_inserter(out), R"(,"{}":{{)", name);
  for (size_t i = 0; i < features.columns->size(); ++i) {
    if (i > 0) out += ',';
    columns::AppendJsonString(out, (*features.columns)[i].shown);
    out += ':';
    append(i);
  }
  out += '}';
}

void AppendFeatures(std::string& out, const PushAnswer& answer) {
  const FeatureAnswer& features = *answer.features;
  const bool defaults = answer.answered == PushAnswered::kDefaults;
  AppendMap(out, "features", features, [&](size_t i) {
    if (defaults || features.statuses[i] == pipeline::FeatureStatus::kPresent) {
      features.values[i].AppendJson(out);
    } else {
      out += "null";
    }
  });
  AppendMap(out, "statuses", features, [&](size_t i) {
    out += '"';
    out += defaults ? std::string_view("DEFAULT") : pipeline::NameOf(features.statuses[i]);
    out += '"';
  });
  if (defaults) return;
  const auto lag = LagSinceHeard(features.lag, features.as_of);
  fmt::format_to(
      std::back_inserter(out),
      R"(,"age_ms":{},"headrace":{{"epoch":{},"as_of":"{}","lag_ms":{},"log":"{}","definition":"{}","clock":"{}"}})",
      lag ? fmt::format("{:.3f}", static_cast<double>(lag->count()) / 1000) : "null",
      features.epoch.value, base::FormatTimestamp(features.as_of),
      lag ? fmt::to_string(lag->count() / 1000) : R"(null,"lag_status":"NEVER_HEARD")",
      features.log.ToString(), features.definition.ToString(),
      features.clock == log::ClockMode::kEvents ? "events" : "wall");
}

// Whoever comes here is known: who is refused lacks a scope.
HttpResponse ProblemOf(const base::Error& error) {
  const bool refused = error.code() == ErrorCode::kUnauthorized;
  return protocols::ProblemResponse(error, refused ? std::optional<int>(403) : std::nullopt);
}

// The problem document of the reason, with the event beside it.
HttpResponse WithoutFeatures(const PushAnswer& answer) {
  HttpResponse response = ProblemOf(*answer.reason);
  response.body.pop_back();
  response.body += R"(,"answered":"none","event":{)";
  AppendEvent(response.body, answer);
  response.body += "}}";
  return response;
}

void TakePush(PushService& pushes, HttpRequest request, env::MonotonicTime whole_at,
              HttpReply reply) {
  auto push = ParsePushRequest(request);
  if (!push) return reply.Send(ProblemOf(push.error()));
  push->whole_at = whole_at;
  pushes.Push(std::move(*push), [reply = std::move(reply), charge = std::move(request.charge)](
                                    base::Result<PushAnswer> answer) mutable {
    reply.Send(answer ? PushResponse(*answer) : ProblemOf(answer.error()));
  });
}

HttpResponse AskedLater(const base::Result<PushedLater>& later) {
  if (!later) return protocols::ProblemResponse(later.error());
  if (later->pending) return HttpResponse::Json(R"({"state":"unknown"})");
  if (!*later->outcome) return protocols::ProblemResponse(later->outcome->error());
  const ingest::IngestOutcome& outcome = **later->outcome;
  std::string body = outcome.all_refused() ? R"({"state":"refused",)" : R"({"state":"durable",)";
  ingest::AppendOutcomeMembers(body, outcome, kRefusedListedMax);
  body += '}';
  return HttpResponse::Json(std::move(body));
}

}  // namespace

base::Result<PushRequest> ParsePushRequest(HttpRequest& request) {
  PushRequest push;
  push.caller = request.caller;
  push.event = {.stream = std::string(request.Parameter("stream")),
                .body = std::move(request.body),
                .content_type = "application/json",
                .producer = FieldOf(request, ingest::kProducerHeader),
                .sequence = FieldOf(request, ingest::kSequenceHeader),
                .idempotency_key = FieldOf(request, ingest::kIdempotencyHeader)};
  for (const auto& [name, value] : request.query) HR_TRY_VOID(ReadParameter(name, value, push));
  if (push.service.empty())
    return Fail(ErrorCode::kInvalidInput, "say which service answers: ?service=NAME");
  return push;
}

HttpResponse PushResponse(const PushAnswer& answer) {
  if (answer.answered == PushAnswered::kNone && answer.reason) return WithoutFeatures(answer);
  std::string body =
      fmt::format(R"({{"answered":"{}",{}"event":{{)", NameOf(answer.answered),
                  answer.answered == PushAnswered::kProvisional ? R"("provisional":true,)" : "");
  AppendEvent(body, answer);
  body += '}';
  if (answer.features) AppendFeatures(body, answer);
  body += "}\n";
  return HttpResponse::Json(std::move(body),
                            answer.event == PushedEvent::kRefused && !answer.features ? 422 : 200);
}

void MountPush(protocols::HttpRouter& router, PushService& pushes, env::Executor& events) {
  router.Add(HttpMethod::kPost, "/streams/{stream}/push-get",
             [&pushes, typing = std::make_shared<ingest::TypingQueue>(events)](HttpRequest request,
                                                                               HttpReply reply) {
               const env::MonotonicTime whole_at = pushes.Now();
               if (typing->AtOnce(request.body.size()))
                 return TakePush(pushes, std::move(request), whole_at, std::move(reply));
               typing->Post([&pushes, whole_at, request = std::move(request),
                             reply = std::move(reply)]() mutable {
                 TakePush(pushes, std::move(request), whole_at, std::move(reply));
               });
             });
  router.Add(HttpMethod::kGet, "/pushes/{token}",
             [&pushes](const HttpRequest& request, HttpReply reply) {
               reply.Send(AskedLater(pushes.Ask(request.Parameter("token"))));
             });
}

}  // namespace headrace::serving
