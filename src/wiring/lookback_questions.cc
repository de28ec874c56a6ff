#include "wiring/lookback_questions.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "wiring/lookback_json.h"

namespace headrace::wiring {

using base::ErrorCode;
using base::Fail;
using base::Result;

base::Result<void> LookbackQuestions::Post(env::Task task) {
  const std::lock_guard lock(mutex_);
  if (closed_) return Fail(ErrorCode::kUnavailable, "the engine is stopping");
  if (waiting_.fetch_add(1) >= kLookbacksMax) {
    waiting_.fetch_sub(1);
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("{} {} wait already: ask again later", kLookbacksMax, what_));
  }
  if (thread_ == nullptr) thread_ = lookback_.NewThread();
  thread_->Post(std::move(task));
  return {};
}

void LookbackQuestions::Close() {
  std::unique_ptr<env::Executor> ended;
  const std::lock_guard lock(mutex_);
  closed_ = true;
  ended = std::move(thread_);
}

template <typename Request, typename Found>
void LookbackQuestions::Answer(Result<Timed<Request>> asked, access::CallerRef caller,
                               Find<Request, Found> find, std::string (*json_of)(const Found&),
                               Document done) {
  if (!asked) return done(Fail(std::move(asked).error()));
  const auto deadline = asked->deadline;
  Put(
      deadline,
      [this, asked = std::move(asked->request), caller = std::move(caller), find,
       json_of](env::MonotonicTime until) -> Result<std::string> {
        HR_TRY(const Found found, (lookback_.*find)(asked, caller, until));
        return json_of(found);
      },
      std::move(done));
}

void LookbackQuestions::Explain(std::string body, access::CallerRef caller, Document done) {
  Answer(ParseExplainRequest(body), std::move(caller), &Lookback::Explain, &ExplanationJson,
         std::move(done));
}

void LookbackQuestions::LastEvents(std::string body, access::CallerRef caller, Document done) {
  Answer(ParseEventsRequest(body), std::move(caller), &Lookback::Events, &LastEventsJson,
         std::move(done));
}

void LookbackQuestions::FeaturesAt(At at, Features done) {
  PastRequest request{.service = std::move(at.query.service),
                      .features = at.query.features.names(),
                      .inputs = std::move(at.query.inputs),
                      .epoch = at.epoch,
                      .as_of = at.query.as_of};
  Put(
      std::min(at.deadline.value_or(Lookback::kDeadline), Lookback::kDeadlineMax),
      [this, request = std::move(request), caller = std::move(at.query.caller)](
          env::MonotonicTime until) -> Result<serving::PastFeatures> {
        HR_TRY(PastAnswer past, lookback_.Answer(request, caller, until));
        return serving::PastFeatures{std::move(past.answer),
                                     past.source == RowSource::kState ? "state" : "table",
                                     std::move(past.because)};
      },
      std::move(done));
}

}  // namespace headrace::wiring
