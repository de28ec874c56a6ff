#include "wiring/lookback_verbs.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>

#include "protocols/problem.h"
#include "wiring/lookback_json.h"

namespace headrace::wiring {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using protocols::HttpMethod;
using protocols::HttpReply;
using protocols::HttpRequest;
using protocols::HttpResponse;

void Answer(HttpReply reply, Result<std::string> document) {
  if (document) return reply.Send(HttpResponse::Json(std::move(*document)));
  // Who asks is known, and may not.
  const bool refused = document.error().code() == ErrorCode::kUnauthorized;
  reply.Send(protocols::ProblemResponse(document.error(),
                                        refused ? std::optional<int>(403) : std::nullopt));
}

auto Later(HttpReply reply) {
  return [reply = std::move(reply)](Result<std::string> document) mutable {
    Answer(std::move(reply), std::move(document));
  };
}

void AskFeatures(LookbackQuestions& questions, const HttpRequest& request, HttpReply reply) {
  auto asked = ParsePastRequest(request);
  if (!asked) return Answer(std::move(reply), Fail(std::move(asked).error()));
  const auto deadline = asked->deadline;
  questions.Put(
      deadline,
      [&lookback = questions.lookback(), asked = std::move(asked->request),
       caller = request.caller](env::MonotonicTime until) -> Result<std::string> {
        HR_TRY(const PastAnswer past, lookback.Answer(asked, caller, until));
        return PastAnswerJson(past);
      },
      Later(std::move(reply)));
}

}  // namespace

void MountLookback(protocols::HttpRouter& router,
                   const std::shared_ptr<LookbackQuestions>& questions) {
  const auto mount = [&](std::string_view path, auto ask) {
    router.Add(HttpMethod::kPost, path,
               [questions, ask](const HttpRequest& request, HttpReply reply) {
                 if (request.body.size() > kLookbackBytesMax)
                   return Answer(std::move(reply),
                                 Fail(ErrorCode::kInvalidInput,
                                      fmt::format("a question about the past has at most {} bytes",
                                                  kLookbackBytesMax)));
                 ask(*questions, request, std::move(reply));
               });
  };
  mount("/explain", [](LookbackQuestions& to, const HttpRequest& request, HttpReply reply) {
    to.Explain(request.body, request.caller, Later(std::move(reply)));
  });
  mount("/get-features-at", &AskFeatures);
  router.BeginInTurn(HttpMethod::kPost, "/get-features-at");
  mount("/last-events", [](LookbackQuestions& to, const HttpRequest& request, HttpReply reply) {
    to.LastEvents(request.body, request.caller, Later(std::move(reply)));
  });
}

}  // namespace headrace::wiring
