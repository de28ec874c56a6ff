#include "serving/http/verbs.h"

#include <memory>

#include "protocols/problem.h"
#include "serving/http/feast_request.h"
#include "serving/http/feast_response.h"
#include "serving/http/flip_request.h"
#include "serving/http/views_json.h"

namespace headrace::serving {
namespace {

using protocols::HttpMethod;
using protocols::HttpReply;
using protocols::HttpRequest;
using protocols::HttpResponse;

void GetOnlineFeatures(AnswerService& answers, StatusMode mode, const HttpRequest& request,
                       HttpReply reply) {
  auto parsed = ParseFeastRequest(request, mode);
  if (!parsed) return reply.Send(RequestProblemResponse(parsed.error(), mode));
  FeatureQuery query = std::move(parsed->query);
  answers.AnswerWhenVisible(
      std::move(query), [&answers, parsed = std::move(*parsed),
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
    router.Add(HttpMethod::kPost, before + "/get-online-features",
               [verbs, mode](const HttpRequest& request, HttpReply reply) {
                 GetOnlineFeatures(*verbs->answers, mode, request, std::move(reply));
               });
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
  if (verbs->flip)
    answer(HttpMethod::kPost, "/debug/flip",
           [](const ServingVerbs& v, const HttpRequest& r) { return Flip(v, r); });
}

}  // namespace headrace::serving
