#include "wiring/http_verbs.h"

#include <charconv>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "protocols/problem.h"
#include "serving/http/push_verb.h"
#include "serving/http/verbs.h"
#include "wiring/change_plan.h"
#include "wiring/definition_changes.h"
#include "wiring/events_intake.h"
#include "wiring/feast_writes.h"
#include "wiring/http_routes.h"
#include "wiring/lookback_questions.h"
#include "wiring/lookback_verbs.h"
#include "wiring/query_flag.h"
#include "wiring/table_verbs.h"

namespace headrace::wiring {
namespace {

using protocols::HttpMethod;
using protocols::HttpReply;
using protocols::HttpRequest;
using protocols::HttpResponse;

constexpr uint64_t kDeadLettersDefault = 100;
constexpr uint64_t kDeadLettersMax = 10'000;
// A pipeline file and its contracts; read as a document of some 20 times their bytes at most.
constexpr uint64_t kChangeBytesMax = 4U << 20;
constexpr uint64_t kChangeBytesOfEach = 32;
constexpr uint64_t kNoBodyBytesMax = 4096;  // where nothing is asked for in a body
constexpr std::string_view kNextHeader = "Headrace-Next";

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

base::Result<HttpResponse> DeadLetters(const HttpRequest& request, const Core& core) {
  DeadLetterQuery query{.stream = std::string(request.Query("stream").value_or("")), .after = {}};
  HR_TRY(query.limit, NumberFrom(request, "limit", kDeadLettersDefault));
  HR_TRY(query.after, LetterPosition::Parse(request.Query("after").value_or("0")));
  HR_TRY(const bool open, QueryFlag(request, "open"));
  if (open) query.which = DeadLetterQuery::Which::kOpen;
  if (query.limit > kDeadLettersMax)
    return base::Fail(
        base::ErrorCode::kInvalidInput,
        fmt::format("at most {} dead letters at a time: go on with after=POSITION, which the "
                    "answer's {} has",
                    kDeadLettersMax, kNextHeader));
  if (request.caller == nullptr || request.caller->scope.restricted())
    query.payloads = Payloads::kAsTheyCame;
  HR_TRY(DeadLetterPage page, core.DeadLetters(query));
  HttpResponse response = HttpResponse::Json(std::move(page.json));
  if (page.next)
    response.fields.push_back({.name = std::string(kNextHeader), .value = page.next->ToString()});
  return response;
}

base::Result<ReplayRequest> ReplayFrom(const HttpRequest& request) {
  ReplayRequest replay{.stream = std::string(request.Query("stream").value_or("")),
                       .rule = std::string(request.Query("rule").value_or("")),
                       .after = {}};
  if (replay.stream.empty())
    return base::Fail(base::ErrorCode::kInvalidInput,
                      "say whose rows are to be sent again: stream=NAME");
  HR_TRY(replay.limit, NumberFrom(request, "limit", replay.limit));
  HR_TRY(replay.after, LetterPosition::Parse(request.Query("after").value_or("0")));
  HR_TRY(const bool dry, QueryFlag(request, "dry_run"));
  if (dry) replay.run = ReplayRequest::Run::kDry;
  return replay;
}

void MountOwn(protocols::HttpRouter& router, Core& core, ingest::StreamGate& gate,
              env::Executor& events) {
  router.Add(HttpMethod::kPost, "/streams/{stream}/events",
             [intake = std::make_shared<EventsIntake>(gate, core.budget(), events)](
                 HttpRequest request, HttpReply reply) {
               intake->Take(std::move(request), std::move(reply));
             });
  router.Add(HttpMethod::kPost, "/deadletters/replay",
             [&core](const HttpRequest& request, HttpReply reply) {
               auto replay = ReplayFrom(request);
               if (!replay) return reply.Send(protocols::ProblemResponse(replay.error()));
               core.ReplayDeadLetters(
                   std::move(*replay),
                   [reply = std::move(reply)](base::Result<ReplayReport> report) mutable {
                     reply.Send(report ? HttpResponse::Json(report->ToJson())
                                       : protocols::ProblemResponse(report.error()));
                   });
             });
  router.LimitBody(HttpMethod::kPost, "/deadletters/replay", kNoBodyBytesMax);
  // They are read out of the log, which may take long: on a thread of their own.
  router.Add(
      HttpMethod::kGet, "/deadletters",
      [&core, pages = std::make_shared<LookbackQuestions>(
                  core.lookback(), "pages of dead letters")](HttpRequest request, HttpReply reply) {
        pages->Put(
            Lookback::kDeadline,
            [&core, request = std::move(request)](env::MonotonicTime /*until*/) {
              return DeadLetters(request, core);
            },
            [reply = std::move(reply)](base::Result<HttpResponse> page) mutable {
              reply.Send(page ? std::move(*page) : protocols::ProblemResponse(page.error()));
            });
      });
}

void Answer(HttpReply reply, base::Result<std::string> document) {
  reply.Send(document ? HttpResponse::Json(std::move(*document))
                      : protocols::ProblemResponse(document.error()));
}

// What a request asks for is read on the executor of events: a file is checked in milliseconds.
void MountChanges(protocols::HttpRouter& router, Core& core, env::Executor& events) {
  router.Add(HttpMethod::kGet, "/definition",
             [&core](const HttpRequest& /*request*/, HttpReply reply) {
               reply.Send(HttpResponse::Json(core.changes().ToJson()));
             });
  const auto with_body = [&](std::string_view path, auto act) {
    router.Add(
        HttpMethod::kPost, path, [&core, &events, act](HttpRequest request, HttpReply reply) {
          events.Post([&core, act, request = std::move(request),
                       reply = std::move(reply)]() mutable {
            auto charge = core.budget().TryCharge(base::MemoryAccount::kReplies,
                                                  kChangeBytesOfEach * request.body.size());
            if (!charge) return reply.Send(protocols::ProblemResponse(charge.error(), 503));
            auto change = ParseChangeRequest(request.body);
            charge->Release();
            if (!change) return Answer(std::move(reply), base::Fail(std::move(change).error()));
            (core.changes().*act)(std::move(*change), [reply = std::move(reply)](
                                                          base::Result<std::string> json) mutable {
              Answer(std::move(reply), std::move(json));
            });
          });
        });
    router.LimitBody(HttpMethod::kPost, path, kChangeBytesMax);
  };
  with_body("/definition", &DefinitionChanges::Apply);
  with_body("/definition/diff", &DefinitionChanges::Diff);
  router.Add(
      HttpMethod::kPost, "/definition/rollback",
      [&core](const HttpRequest& /*request*/, HttpReply reply) {
        core.changes().Rollback([reply = std::move(reply)](base::Result<std::string> json) mutable {
          Answer(std::move(reply), std::move(json));
        });
      });
  router.LimitBody(HttpMethod::kPost, "/definition/rollback", kChangeBytesMax);
}

}  // namespace

void MountVerbs(protocols::HttpRouter& router, Core& core, ingest::StreamGate& gate,
                env::Executor& events, DemoFaults faults,
                std::shared_ptr<LookbackQuestions> questions) {
  serving::ServingVerbs verbs{.answers = &core.answers(),
                              .ready = [] { return base::Result<void>(); },
                              .status = [&core] { return core.StatusJson(); },
                              .metrics = [&core] { return core.MetricsText(); },
                              .flip = {},
                              .budget = &core.budget()};
  if (faults == DemoFaults::kOn)
    verbs.flip = [&core](const std::string& view, const columns::KeyBytes& key) {
      return core.CorruptForDemonstration(view, key);
    };
  serving::MountServing(router, std::move(verbs));
  serving::MountPush(router, core.pushes(), events);
  MountOwn(router, core, gate, events);
  MountFeastWrites(
      router, {.gate = &gate, .budget = &core.budget(), .events = &events, .definition = [&core] {
                 return core.answers().definition();
               }});
  MountChanges(router, core, events);
  router.Add(HttpMethod::kGet, "/openapi.json",
             [](const HttpRequest& /*request*/, HttpReply reply) {
               // Takes milliseconds: not of every start.
               static const std::string kDocument = OpenApiJson();
               reply.Send(HttpResponse::Json(kDocument));
             });
  MountTableVerbs(router, core);
  if (questions == nullptr) questions = std::make_shared<LookbackQuestions>(core.lookback());
  MountLookback(router, questions, core.answers());
  SetRouteNeeds(router);
}

}  // namespace headrace::wiring
