#pragma once
// Questions about the past, whoever asks them: they may take long, so they have a thread of their
// own, one after the other.

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "serving/resp/past_commands.h"
#include "wiring/lookback.h"

namespace headrace::wiring {

template <typename Request>
struct Timed;

// More questions than that wait or are under way: the next one is kResourceExhausted.
inline constexpr size_t kLookbacksMax = 32;

// In the order in which they came. The thread is made with the first one. Any thread. Whoever waits
// with one of them inside of the lookback's core holds it weakly.
class LookbackQuestions final : public serving::PastQuestions {
 public:
  // It outlives them. `what` they are, in errors.
  explicit LookbackQuestions(Lookback& lookback, std::string what = "questions about the past")
      : lookback_(lookback), what_(std::move(what)) {}

  // `ask` runs on the thread, with the time at which to give up, and `done` behind it; or `done`
  // alone, at once. Errors: kResourceExhausted; kUnavailable: it is closed; kDeadlineExceeded:
  // others were before it.
  template <typename Ask, typename Done>
  void Put(std::chrono::milliseconds deadline, Ask ask, Done done) {
    PutUntil(lookback_.Now() + deadline, std::move(ask), std::move(done));
  }
  template <typename Ask, typename Done>
  void PutUntil(env::MonotonicTime until, Ask ask, Done done);
  // Answers those that were put; PutUntil refuses later ones, and the lookback is no longer used.
  // Idempotent.
  void Close();

  void Explain(std::string body, access::CallerRef caller, Document done) override;
  void LastEvents(std::string body, access::CallerRef caller, Document done) override;
  void FeaturesAt(At at, Features done) override;

  Lookback& lookback() { return lookback_; }

 private:
  template <typename Request, typename Found>
  using Find = base::Result<Found> (Lookback::*)(const Request&, const access::CallerRef&,
                                                 env::MonotonicTime until);
  // A request that could be read is answered by what `find` finds.
  template <typename Request, typename Found>
  void Answer(base::Result<Timed<Request>> asked, access::CallerRef caller,
              Find<Request, Found> find, std::string (*json_of)(const Found&), Document done);
  // Nothing is put when there are too many, or it is closed.
  base::Result<void> Post(env::Task task);

  Lookback& lookback_;
  const std::string what_;
  std::atomic<size_t> waiting_{0};
  std::mutex mutex_;  // guards the next two
  std::unique_ptr<env::Executor> thread_;
  bool closed_ = false;
};

template <typename Ask, typename Done>
void LookbackQuestions::PutUntil(env::MonotonicTime until, Ask ask, Done done) {
  auto shared_done = std::make_shared<Done>(std::move(done));
  auto posted = Post([this, until, ask = std::move(ask), shared_done]() mutable {
    using Answer = decltype(ask(until));
    Answer answer = lookback_.Now() < until
                        ? ask(until)
                        : Answer(base::Fail(base::ErrorCode::kDeadlineExceeded,
                                            "others were before it, and its time is up: ask "
                                            "again"));
    waiting_.fetch_sub(1);
    (*shared_done)(std::move(answer));
  });
  if (!posted) (*shared_done)(base::Fail(std::move(posted).error()));
}

}  // namespace headrace::wiring
