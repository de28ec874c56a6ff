#include "wiring/lookback_verbs.h"

#include <fmt/format.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "protocols/problem.h"
#include "wiring/lookback.h"
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

// Questions in the order in which they came. The thread is made with the first one. Any thread.
class Questions {
 public:
  explicit Questions(Lookback& lookback) : lookback_(lookback) {}

  // `ask` runs on the thread, with the time at which to give up.
  template <typename Ask>
  void Put(std::chrono::milliseconds deadline, HttpReply reply, Ask ask) {
    const env::MonotonicTime until = lookback_.Now() + deadline;
    if (waiting_.fetch_add(1) >= kLookbacksMax) {
      waiting_.fetch_sub(1);
      return Answer(std::move(reply),
                    Fail(ErrorCode::kResourceExhausted,
                         fmt::format("{} questions about the past wait already: ask again later",
                                     kLookbacksMax)));
    }
    Thread().Post([this, until, ask = std::move(ask), reply = std::move(reply)]() mutable {
      Result<std::string> json = lookback_.Now() < until
                                     ? ask(until)
                                     : Fail(ErrorCode::kDeadlineExceeded,
                                            "others were before it, and its time is up: ask again");
      waiting_.fetch_sub(1);
      Answer(std::move(reply), std::move(json));
    });
  }
  static void Answer(HttpReply reply, Result<std::string> document) {
    if (document) return reply.Send(HttpResponse::Json(std::move(*document)));
    // Who asks is known, and may not.
    const bool refused = document.error().code() == ErrorCode::kUnauthorized;
    reply.Send(protocols::ProblemResponse(document.error(),
                                          refused ? std::optional<int>(403) : std::nullopt));
  }

 private:
  env::Executor& Thread() {
    const std::lock_guard lock(mutex_);
    if (thread_ == nullptr) thread_ = lookback_.NewThread();
    return *thread_;
  }

  Lookback& lookback_;
  std::atomic<size_t> waiting_{0};
  std::mutex mutex_;
  std::unique_ptr<env::Executor> thread_;
};

}  // namespace

void MountLookback(protocols::HttpRouter& router, Core& core) {
  Lookback& lookback = core.lookback();
  const auto questions = std::make_shared<Questions>(lookback);
  // `read` makes a question of the request, `ask` an answer of the question.
  const auto mount = [&](std::string_view path, auto read, auto ask) {
    router.Add(
        HttpMethod::kPost, path,
        [questions, read, ask](const HttpRequest& request, HttpReply reply) {
          if (request.body.size() > kLookbackBytesMax)
            return Questions::Answer(
                std::move(reply), Fail(ErrorCode::kInvalidInput,
                                       fmt::format("a question about the past has at most {} bytes",
                                                   kLookbackBytesMax)));
          auto asked = read(request);
          if (!asked) return Questions::Answer(std::move(reply), Fail(std::move(asked).error()));
          const auto deadline = asked->deadline;
          questions->Put(deadline, std::move(reply),
                         [ask, caller = request.caller, asked = std::move(asked->request)](
                             env::MonotonicTime until) { return ask(asked, caller, until); });
        });
  };
  using access::CallerRef;
  mount(
      "/explain", [](const HttpRequest& request) { return ParseExplainRequest(request.body); },
      [&lookback](const ExplainRequest& asked, const CallerRef& caller,
                  env::MonotonicTime until) -> Result<std::string> {
        HR_TRY(const Explanation explanation, lookback.Explain(asked, caller, until));
        return ExplanationJson(explanation);
      });
  mount(
      "/get-features-at", [](const HttpRequest& request) { return ParsePastRequest(request); },
      [&lookback](const PastRequest& asked, const CallerRef& caller,
                  env::MonotonicTime until) -> Result<std::string> {
        HR_TRY(const PastAnswer past, lookback.Answer(asked, caller, until));
        return PastAnswerJson(past);
      });
  mount(
      "/last-events", [](const HttpRequest& request) { return ParseEventsRequest(request.body); },
      [&lookback](const EventsRequest& asked, const CallerRef& caller,
                  env::MonotonicTime until) -> Result<std::string> {
        HR_TRY(const LastEvents events, lookback.Events(asked, caller, until));
        return LastEventsJson(events);
      });
}

}  // namespace headrace::wiring
