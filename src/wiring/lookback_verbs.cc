#include "wiring/lookback_verbs.h"

#include <optional>
#include <string>
#include <utility>

#include "protocols/problem.h"
#include "serving/input_values.h"
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

void PutFeatures(LookbackQuestions& questions, PastQuestion asked, access::CallerRef caller,
                 env::MonotonicTime end, HttpReply reply) {
  questions.PutUntil(
      end,
      [&lookback = questions.lookback(), asked = std::move(asked),
       caller = std::move(caller)](env::MonotonicTime until) -> Result<std::string> {
        HR_TRY(const PastAnswer past, lookback.Answer(asked.request, caller, until));
        return PastAnswerJson(past, asked.shape);
      },
      Later(std::move(reply)));
}

// What waits for an epoch has the rest of its time for the question.
void AskFeatures(const std::shared_ptr<LookbackQuestions>& questions,
                 serving::AnswerService& answers, const HttpRequest& request, HttpReply reply) {
  auto asked = ParsePastRequest(request);
  if (!asked) return Answer(std::move(reply), Fail(std::move(asked).error()));
  const auto deadline = asked->deadline;
  const env::MonotonicTime end = questions->lookback().Now() + deadline;
  if (!asked->min_epoch)
    return PutFeatures(*questions, std::move(*asked), request.caller, end, std::move(reply));
  const base::EpochId epoch = *asked->min_epoch;
  const PastRequest& held = asked->request;
  const uint64_t held_bytes = serving::HeldBytes(held.service, held.features, held.inputs);
  answers.WhenVisible(
      epoch, deadline, held_bytes,
      [weak = std::weak_ptr(questions), end, asked = std::move(*asked), caller = request.caller,
       reply = std::move(reply)](Result<void> visible) mutable {
        if (!visible) return Answer(std::move(reply), Fail(std::move(visible).error()));
        const auto questions = weak.lock();
        if (questions == nullptr)
          return Answer(std::move(reply), Fail(ErrorCode::kUnavailable, "the engine is stopping"));
        PutFeatures(*questions, std::move(asked), std::move(caller), end, std::move(reply));
      });
}

}  // namespace

void MountLookback(protocols::HttpRouter& router,
                   const std::shared_ptr<LookbackQuestions>& questions,
                   serving::AnswerService& answers) {
  const auto mount = [&](std::string_view path, auto ask) {
    router.Add(HttpMethod::kPost, path,
               [questions, ask](const HttpRequest& request, HttpReply reply) {
                 ask(questions, request, std::move(reply));
               });
    router.LimitBody(HttpMethod::kPost, path, kLookbackBytesMax);
  };
  mount("/explain", [](const auto& to, const HttpRequest& request, HttpReply reply) {
    to->Explain(request.body, request.caller, Later(std::move(reply)));
  });
  mount("/get-features-at",
        [&answers](const auto& to, const HttpRequest& request, HttpReply reply) {
          AskFeatures(to, answers, request, std::move(reply));
        });
  router.BeginInTurn(HttpMethod::kPost, "/get-features-at");
  mount("/last-events", [](const auto& to, const HttpRequest& request, HttpReply reply) {
    to->LastEvents(request.body, request.caller, Later(std::move(reply)));
  });
}

}  // namespace headrace::wiring
