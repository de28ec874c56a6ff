#pragma once
// For tests: a view set that is fed random epochs, with all rows kept for the oracle.

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/memory_budget.h"
#include "env/clock.h"
#include "pipeline/views/events_fixture.h"
#include "pipeline/views/view_set.h"

namespace headrace::pipeline::fixture {

class ManualClock final : public env::Clock {
 public:
  env::MonotonicTime Now() const override {
    if (when_asked) when_asked();
    return now;
  }
  base::Timestamp Wall() const override { return {0}; }
  env::MonotonicTime now{1'000'000'000};
  std::function<void()> when_asked;  // view sets ask for each pin
};

class Replay {
 public:
  Replay(uint64_t seed, size_t keys,
         std::shared_ptr<PipelineDefinition> pipeline = EventsPipeline())
      : random_(seed),
        keys_(keys),
        pipeline_(std::move(pipeline)),
        views_(pipeline_, budget_, clock_) {
    views_.BindStream(0, kStream);
  }

  // One to three epochs in a step. Most rows come in order; some are late, a few older than every
  // window, some ahead.
  void Step(size_t rows_max) {
    std::vector<log::EpochRef> epochs;
    for (uint64_t n = 1 + random_() % 3; n > 0; --n) {
      now_ += static_cast<int64_t>(random_() % 4) * kSecond;
      std::vector<Event> events;
      for (uint64_t row = random_() % (rows_max + 1); row > 0; --row) {
        Event event = RandomEvent(random_, keys_);
        if (births_every_ != 0) event.key = RandomKey(keys_);
        event.at = now_ - static_cast<int64_t>(random_() % 2) * kSecond;
        if (random_() % 10 == 0) event.at = now_ - static_cast<int64_t>(random_() % 120) * kSecond;
        if (random_() % 50 == 0) event.at = now_ - static_cast<int64_t>(random_() % 1200) * kSecond;
        if (random_() % 20 == 0) event.at = now_ + static_cast<int64_t>(random_() % 30) * kSecond;
        events.push_back(std::move(event));
      }
      epochs.push_back(ToEpoch(pipeline_->streams[0].schema(), ++epoch_, now_, events));
      rows_.insert(rows_.end(), events.begin(), events.end());
    }
    views_.Apply(epochs);
    epochs_.insert(epochs_.end(), epochs.begin(), epochs.end());
  }

  struct Question {
    size_t view;
    std::string key;
    std::optional<int64_t> region;
    base::Timestamp as_of;
  };
  Question RandomQuestion() {
    const size_t view = random_() % pipeline_->views.size();
    Question question{.view = view, .key = RandomKey(keys_ + 1), .region = {}, .as_of = {now_}};
    if (random_() % 4 != 0) question.region = static_cast<int64_t>(random_() % 3);
    if (random_() % 2 == 0)
      question.as_of.us += (static_cast<int64_t>(random_() % 60) - 20) * kSecond;
    return question;
  }
  // Of so many; once new ones are born also one that was.
  std::string RandomKey(size_t of_keys) {
    if (births_every_ == 0) return "key-" + std::to_string(random_() % of_keys);
    const auto born = static_cast<uint64_t>((now_ - kBegin) / births_every_);
    const uint64_t number = random_() % 12 == 0 ? random_() % (born + 1) : born;
    return "key-" + std::to_string(number + random_() % of_keys);
  }
  // What the view set answers differently from the oracle; empty when nothing.
  std::string Check(const Question& question) { return Check(question, views_); }
  // The same for another one that was given the same epochs.
  std::string Check(const Question& question, ViewSet& views) {
    const auto pin = views.PinNewest();
    if (!pin) return pin.error().ToString();
    return Check(question, views, *pin, rows_);
  }
  // The same of the pinned epoch, which has these rows.
  std::string Check(const Question& question, ViewSet& views, const Pin& pin,
                    const std::vector<Event>& rows) {
    const ViewDefinition& view = pipeline_->views[question.view];
    const auto answer =
        views.Get(pin, question.view, KeyOf(view, question.key, question.region), question.as_of);
    if (!answer) return answer.error().ToString();
    const ViewAnswer naive = NaiveAnswer(view, FeaturesOf(question.view), rows, question.key,
                                         question.region, question.as_of.us);
    const std::string difference = Difference(view, *answer, naive);
    return difference.empty() ? "" : view.name + " " + question.key + " " + difference;
  }

  std::mt19937_64 random_;
  size_t keys_;
  ManualClock clock_;
  base::MemoryBudget budget_{1ULL << 40};
  std::shared_ptr<PipelineDefinition> pipeline_;
  ViewSet views_;
  std::vector<Event> rows_;
  std::vector<log::EpochRef> epochs_;
  static constexpr int64_t kBegin = 1'000'000 * kSecond;
  int64_t now_ = kBegin;
  int64_t births_every_ = 0;  // µs; then the oldest key gets no more rows, but now and then
  uint64_t epoch_ = 0;
};

}  // namespace headrace::pipeline::fixture
