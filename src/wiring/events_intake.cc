#include "wiring/events_intake.h"

#include <optional>
#include <string>
#include <utility>

#include "ingest/http/events_endpoint.h"
#include "protocols/problem.h"
#include "wiring/query_flag.h"

namespace headrace::wiring {
namespace {

using protocols::HttpReply;
using protocols::HttpRequest;
using protocols::HttpResponse;

std::optional<std::string> FieldOf(const HttpRequest& request, std::string_view name) {
  const auto value = request.Field(name);
  return value ? std::optional<std::string>(*value) : std::nullopt;
}

base::Result<columns::Atomicity> AtomicityOf(const HttpRequest& request) {
  HR_TRY(const bool atomic, QueryFlag(request, "atomic"));
  return atomic ? columns::Atomicity::kAllOrNone : columns::Atomicity::kGoodRowsIn;
}

ingest::EventsRequest ToEvents(HttpRequest& request, columns::Atomicity atomicity) {
  return {.stream = std::string(request.Parameter("stream")),
          .body = std::move(request.body),
          .content_type = FieldOf(request, "content-type").value_or(""),
          .producer = FieldOf(request, ingest::kProducerHeader),
          .sequence = FieldOf(request, ingest::kSequenceHeader),
          .idempotency_key = FieldOf(request, ingest::kIdempotencyHeader),
          .atomicity = atomicity};
}

void PostEvents(HttpRequest request, HttpReply reply, ingest::StreamGate& gate,
                base::MemoryBudget& budget) {
  const auto atomicity = AtomicityOf(request);
  if (!atomicity) return reply.Send(protocols::ProblemResponse(atomicity.error()));
  // The body's charge lives until the answer, as its typed rows do.
  auto held = std::make_shared<std::pair<HttpReply, base::MemoryCharge>>(std::move(reply),
                                                                         std::move(request.charge));
  ingest::HandleEvents(
      ToEvents(request, *atomicity), gate, budget, {},
      [held](base::Result<ingest::EventsReply> answer) {
        held->first.Send(answer ? HttpResponse::Json(std::move(answer->body), answer->status)
                                : protocols::ProblemResponse(answer.error()));
      });
}

}  // namespace

void EventsIntake::Take(HttpRequest request, HttpReply reply) {
  if (typing_.AtOnce(request.body.size()))
    return PostEvents(std::move(request), std::move(reply), gate_, budget_);
  typing_.Post([&gate = gate_, &budget = budget_, request = std::move(request),
                reply = std::move(reply)]() mutable {
    PostEvents(std::move(request), std::move(reply), gate, budget);
  });
}

}  // namespace headrace::wiring
