#include "wiring/http_verbs.h"

#include <charconv>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "ingest/http/events_endpoint.h"
#include "protocols/problem.h"
#include "serving/http/verbs.h"

namespace headrace::wiring {
namespace {

using protocols::HttpMethod;
using protocols::HttpReply;
using protocols::HttpRequest;
using protocols::HttpResponse;

constexpr uint64_t kDeadLettersDefault = 100;
constexpr uint64_t kDeadLettersMax = 10'000;

std::optional<std::string> FieldOf(const HttpRequest& request, std::string_view name) {
  const auto value = request.Field(name);
  return value ? std::optional<std::string>(*value) : std::nullopt;
}

ingest::EventsRequest ToEvents(HttpRequest& request) {
  return {.stream = std::string(request.Parameter("stream")),
          .body = std::move(request.body),
          .content_type = FieldOf(request, "content-type").value_or(""),
          .producer = FieldOf(request, ingest::kProducerHeader),
          .sequence = FieldOf(request, ingest::kSequenceHeader),
          .idempotency_key = FieldOf(request, ingest::kIdempotencyHeader),
          .atomicity = request.Query("atomic") == "true" ? columns::Atomicity::kAllOrNone
                                                         : columns::Atomicity::kGoodRowsIn};
}

void PostEvents(HttpRequest request, HttpReply reply, Core& core, ingest::StreamGate& gate) {
  // The body's charge lives until the answer, as its typed rows do.
  auto held = std::make_shared<std::pair<HttpReply, base::MemoryCharge>>(std::move(reply),
                                                                         std::move(request.charge));
  ingest::HandleEvents(
      ToEvents(request), gate, core.budget(), {}, [held](base::Result<ingest::EventsReply> answer) {
        held->first.Send(answer ? HttpResponse::Json(std::move(answer->body), answer->status)
                                : protocols::ProblemResponse(answer.error()));
      });
}

base::Result<uint64_t> NumberFrom(const HttpRequest& request, std::string_view name,
                                  uint64_t otherwise) {
  const auto text = request.Query(name);
  if (!text) return otherwise;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size())
    return base::Fail(base::ErrorCode::kInvalidInput,
                      fmt::format("`{}` of {} is no whole number", *text, name));
  return value;
}

base::Result<std::string> DeadLetters(const HttpRequest& request, const Core& core) {
  HR_TRY(const uint64_t limit, NumberFrom(request, "limit", kDeadLettersDefault));
  HR_TRY(const uint64_t after, NumberFrom(request, "after", 0));
  if (limit > kDeadLettersMax)
    return base::Fail(
        base::ErrorCode::kInvalidInput,
        fmt::format("at most {} dead letters at a time: go on with after=EPOCH", kDeadLettersMax));
  const std::string stream(request.Query("stream").value_or(""));
  return core.DeadLettersJson(stream, after, limit);
}

void MountOwn(protocols::HttpRouter& router, Core& core, ingest::StreamGate& gate,
              env::Executor& events) {
  router.Add(
      HttpMethod::kPost, "/streams/{stream}/events", [&](HttpRequest request, HttpReply reply) {
        events.Post(
            [&core, &gate, request = std::move(request), reply = std::move(reply)]() mutable {
              PostEvents(std::move(request), std::move(reply), core, gate);
            });
      });
  router.Add(HttpMethod::kGet, "/deadletters", [&](HttpRequest request, HttpReply reply) {
    events.Post([&core, request = std::move(request), reply = std::move(reply)]() mutable {
      auto letters = DeadLetters(request, core);
      reply.Send(letters ? HttpResponse::Json(std::move(*letters))
                         : protocols::ProblemResponse(letters.error()));
    });
  });
}

}  // namespace

void MountVerbs(protocols::HttpRouter& router, Core& core, ingest::StreamGate& gate,
                env::Executor& events, DemoFaults faults) {
  serving::ServingVerbs verbs{.answers = &core.answers(),
                              .ready = [] { return base::Result<void>(); },
                              .status = [&core] { return core.StatusJson(); },
                              .metrics = [&core] { return core.MetricsText(); },
                              .flip = {}};
  if (faults == DemoFaults::kOn)
    verbs.flip = [&core](const std::string& view, const columns::KeyBytes& key) {
      return core.CorruptForDemonstration(view, key);
    };
  serving::MountServing(router, std::move(verbs));
  MountOwn(router, core, gate, events);
}

}  // namespace headrace::wiring
