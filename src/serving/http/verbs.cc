#include "serving/http/verbs.h"

#include <memory>

#include "protocols/problem.h"
#include "serving/http/feast_request.h"
#include "serving/http/feast_response.h"
#include "serving/http/flip_request.h"
#include "serving/http/views_json.h"
#include "serving/input_values.h"

namespace headrace::serving {
namespace {

using protocols::HttpMethod;
using protocols::HttpReply;
using protocols::HttpRequest;
using protocols::HttpResponse;

// What a long body becomes: a document of some 14 times its bytes, and values.
base::Result<base::MemoryCharge> ChargeReading(base::MemoryBudget* budget, size_t body_bytes) {
  constexpr size_t kUncharged = 64U << 10;
  constexpr uint64_t kBytesOfEach = 32;
  if (budget == nullptr || body_bytes <= kUncharged) return base::MemoryCharge();
  return budget->TryCharge(base::MemoryAccount::kReplies, kBytesOfEach * body_bytes);
}

// What was charged for the reading becomes what the query holds; of one that may wait the answer
// service charges that.
base::Result<void> ChargeHeld(base::MemoryBudget* budget, const FeatureQuery& query,
                              base::MemoryCharge& charge) {
  if (charge.bytes() == 0) return {};
  charge.Release();
  if (query.min_epoch) return {};
  HR_TRY(charge, budget->TryCharge(base::MemoryAccount::kReplies,
                                   HeldBytes(query.service, query.features.names(), query.inputs)));
  return {};
}

void GetOnlineFeatures(const ServingVerbs& verbs, StatusMode mode, const HttpRequest& request,
                       HttpReply reply) {
  auto charge = ChargeReading(verbs.budget, request.body.size());
  if (!charge) return reply.Send(protocols::ProblemResponse(charge.error(), 503));
  auto parsed = ParseFeastRequest(request, mode);
  if (!parsed) return reply.Send(RequestProblemResponse(parsed.error(), mode));
  FeatureQuery query = std::move(parsed->query);
  if (const auto held = ChargeHeld(verbs.budget, query, *charge); !held)
    return reply.Send(protocols::ProblemResponse(held.error(), 503));
  AnswerService& answers = *verbs.answers;
  answers.AnswerWhenVisible(
      std::move(query), [&answers, parsed = std::move(*parsed), charge = std::move(*charge),
                         reply = std::move(reply)](base::Result<FeatureAnswer> answer) mutable {
        if (answer) return reply.Send(AnswerResponse(*answer, parsed));
        reply.Send(AnswerErrorResponse(answer.error(), parsed.mode, answers.definition()->name));
      });
}

HttpResponse Ready(const ServingVerbs& verbs) {
  const auto ready = verbs.ready();
  return ready ? HttpResponse::Json("{\"ready\":true}")
               : protocols::ProblemResponse(ready.error(), 503);
}

HttpResponse Flip(const ServingVerbs& verbs, const HttpRequest& request) {
  const auto flip = ParseFlipRequest(*verbs.answers->definition(), request.body);
  if (!flip) return protocols::ProblemResponse(flip.error());
  const auto flipped = verbs.flip(flip->view, flip->key);
  return flipped ? HttpResponse::Json("{\"flipped\":true}")
                 : protocols::ProblemResponse(flipped.error());
}

}  // namespace

void MountServing(protocols::HttpRouter& router, ServingVerbs mounted) {
  const auto verbs = std::make_shared<const ServingVerbs>(std::move(mounted));
  const auto answer = [&](HttpMethod method, std::string_view path, auto make) {
    router.Add(method, path, [verbs, make](HttpRequest request, HttpReply reply) {
      reply.Send(make(*verbs, request));
    });
  };
  for (const StatusMode mode : {StatusMode::kStrict, StatusMode::kFeast}) {
    const std::string before(PrefixOf(mode));
    const std::string read = before + "/get-online-features";
    router.Add(HttpMethod::kPost, read, [verbs, mode](const HttpRequest& request, HttpReply reply) {
      GetOnlineFeatures(*verbs, mode, request, std::move(reply));
    });
    router.LimitBody(HttpMethod::kPost, read, kReadBytesMax);
    router.BeginInTurn(HttpMethod::kPost, read);
    answer(HttpMethod::kGet, before + "/health",
           [](const ServingVerbs&, const HttpRequest&) { return HttpResponse{}; });
  }
  answer(HttpMethod::kGet, "/ready",
         [](const ServingVerbs& v, const HttpRequest&) { return Ready(v); });
  answer(HttpMethod::kGet, "/status",
         [](const ServingVerbs& v, const HttpRequest&) { return HttpResponse::Json(v.status()); });
  answer(HttpMethod::kGet, "/metrics", [](const ServingVerbs& v, const HttpRequest&) {
    return HttpResponse{200, "text/plain; version=0.0.4; charset=utf-8", v.metrics(), {}};
  });
  answer(HttpMethod::kGet, "/views", [](const ServingVerbs& v, const HttpRequest&) {
    return HttpResponse::Json(ViewsJson(*v.answers->definition()));
  });
  if (!verbs->flip) return;
  answer(HttpMethod::kPost, "/debug/flip",
         [](const ServingVerbs& v, const HttpRequest& r) { return Flip(v, r); });
  router.LimitBody(HttpMethod::kPost, "/debug/flip", kReadBytesMax);
}

}  // namespace headrace::serving
