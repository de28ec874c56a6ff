// An event counted beside the state must give what there is when it has been applied: held to the
// naive oracle over all rows and it, for every kind of window and aggregate, and to the state after
// it.

#include "pipeline/views/event_ahead.h"

#include <gtest/gtest.h>

#include "pipeline/views/replay_fixture.h"

namespace headrace::pipeline {
namespace {

using namespace fixture;  // NOLINT: the test is written in the fixture's words

class Ahead : public Replay {
 public:
  using Replay::Replay;

  // In order mostly; some late, a few older than every window, some ahead of the clock.
  Event RandomAhead() {
    Event event = RandomEvent(random_, keys_ + 1);
    event.at = now_;
    if (random_() % 4 == 0) event.at -= static_cast<int64_t>(random_() % 90) * kSecond;
    if (random_() % 12 == 0) event.at -= static_cast<int64_t>(random_() % 1200) * kSecond;
    if (random_() % 12 == 0) event.at += static_cast<int64_t>(random_() % 30) * kSecond;
    return event;
  }
  base::Result<ViewAnswer> Ask(size_t view, const Event& event, const Event& key, int64_t as_of) {
    const auto pin = views_.PinNewest();
    return views_.GetAhead(
        *pin, view, KeyOf(pipeline_->views[view], key.key, key.region), {as_of},
        {pipeline_->streams[0].name, ToBatch(pipeline_->streams[0].schema(), {event})});
  }
  ViewAnswer Naive(size_t view, const std::vector<Event>& rows, const Event& key,
                   int64_t as_of) const {
    return NaiveAnswer(pipeline_->views[view], FeaturesOf(view), rows, key.key, key.region, as_of);
  }
};

TEST(EventAhead, CountsAsIfItHadBeenApplied) {
  size_t checked = 0;
  size_t not_told = 0;
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    Ahead ahead(seed, 1 + seed % 3);
    for (int step = 0; step < 25; ++step) {
      ahead.Step(seed % 2 == 0 ? 60 : 12);
      Event event = ahead.RandomAhead();
      // Behind every row that there is.
      event.position = columns::Position::Of({ahead.epoch_ + 1}, 0).packed;
      std::vector<Event> rows = ahead.rows_;
      rows.push_back(event);
      for (size_t view = 0; view < ahead.pipeline_->views.size(); ++view) {
        const ViewDefinition& definition = ahead.pipeline_->views[view];
        SCOPED_TRACE("seed " + std::to_string(seed) + " step " + std::to_string(step) + " view " +
                     definition.name);
        const int64_t as_of = std::max(ahead.now_, event.at);
        const auto answer = ahead.Ask(view, event, event, as_of);
        if (!answer) {
          ASSERT_EQ(answer.error().code(), base::ErrorCode::kUnsupported);
          ++not_told;
          continue;
        }
        ASSERT_EQ(Difference(definition, *answer, ahead.Naive(view, rows, event, as_of)), "");
        ++checked;
      }
    }
  }
  EXPECT_GT(checked, 1'000U);
  EXPECT_GT(not_told, 0U) << "late, and windows of rows or sessions";
}

TEST(EventAhead, CountsInALongKey) {
  Ahead ahead(11, 1);
  for (int step = 0; step < 30; ++step) ahead.Step(150);
  for (int i = 0; i < 8; ++i) {
    Event event = ahead.RandomAhead();
    event.key = "key-0";
    event.position = columns::Position::Of({ahead.epoch_ + 1}, 0).packed;
    std::vector<Event> rows = ahead.rows_;
    rows.push_back(event);
    const int64_t as_of = std::max(ahead.now_, event.at);
    for (size_t view = 0; view < ahead.pipeline_->views.size(); ++view) {
      const auto answer = ahead.Ask(view, event, event, as_of);
      if (!answer) continue;
      ASSERT_EQ(
          Difference(ahead.pipeline_->views[view], *answer, ahead.Naive(view, rows, event, as_of)),
          "")
          << ahead.pipeline_->views[view].name << " " << i;
    }
  }
}

TEST(EventAhead, OtherKeysAndTheStateDoNotSeeIt) {
  Ahead ahead(3, 2);
  for (int step = 0; step < 10; ++step) ahead.Step(40);
  Event event = ahead.RandomAhead();
  event.key = "key-0";
  event.at = ahead.now_;
  Event other = event;
  other.key = "key-1";
  for (size_t view = 0; view < ahead.pipeline_->views.size(); ++view) {
    const ViewDefinition& definition = ahead.pipeline_->views[view];
    for (const Event& key : {event, other}) {
      const auto with = ahead.Ask(view, event, key, ahead.now_);
      ASSERT_TRUE(with.has_value());
      const auto pin = ahead.views_.PinNewest();
      const auto state =
          ahead.views_.Get(*pin, view, KeyOf(definition, key.key, key.region), {ahead.now_});
      const ViewAnswer naive = ahead.Naive(view, ahead.rows_, key, ahead.now_);
      ASSERT_EQ(Difference(definition, *state, naive), "") << "after it was asked with the event";
      if (key.key == "key-1") {
        ASSERT_EQ(Difference(definition, *with, naive), "");
      }
    }
  }
}

TEST(EventAhead, AViewThatExcludesItDoesNotCountIt) {
  Ahead ahead(5, 1);
  for (ViewDefinition& view : ahead.pipeline_->views) view.self = SelfRule::kExcluded;
  for (int step = 0; step < 5; ++step) ahead.Step(30);
  Event event = ahead.RandomAhead();
  event.key = "key-0";
  for (size_t view = 0; view < ahead.pipeline_->views.size(); ++view) {
    const int64_t as_of = std::max(ahead.now_, event.at);
    const auto answer = ahead.Ask(view, event, event, as_of);
    ASSERT_TRUE(answer.has_value());
    ASSERT_EQ(Difference(ahead.pipeline_->views[view], *answer,
                         ahead.Naive(view, ahead.rows_, event, as_of)),
              "");
  }
}

// The applier counts them, once.
TEST(EventAhead, FailuresAreNotCounted) {
  std::shared_ptr<PipelineDefinition> pipeline = EventsPipeline();
  const columns::SchemaRef schema = pipeline->streams[0].schema();
  pipeline->views.clear();
  pipeline->views.push_back(MakeView(schema, "view", {kKey}, {60},
                                     {{"sum", AggregateKind::kSum, "CAST(s AS BIGINT)", ""}}));
  const ViewDefinition& view = pipeline->views[0];
  ManualClock clock;
  base::MemoryBudget budget{1ULL << 40};
  ViewSet views(pipeline, budget, clock);
  views.BindStream(0, kStream);
  std::vector<Event> events = {{.key = "key-0", .at = 1'000'000 * kSecond, .s = "no number"}};
  const log::EpochRef epoch = ToEpoch(schema, 1, events[0].at, events);
  views.Apply({&epoch, 1});
  EXPECT_EQ(view.arguments[0].errors(), 1U);
  const columns::KeyBytes key = KeyOf(view, "key-0", {});
  const EventAhead ahead{pipeline->streams[0].name, ToBatch(schema, events)};
  EXPECT_TRUE(views.GetAhead(*views.PinNewest(), 0, key, {events[0].at}, ahead).has_value());
  EXPECT_EQ(view.arguments[0].errors(), 1U);
  KeyRowsBuilder explained(view, pipeline->streams[0], key);
  const columns::Position position = columns::Position::Of(epoch->id, 0);
  const int64_t known_at = 0;
  explained.Add(*epoch->RowsOf(kStream), {&position, 1}, {&known_at, 1});
  EXPECT_EQ(explained.Finish().size(), 1U);
  EXPECT_EQ(view.arguments[0].errors(), 1U);
}

}  // namespace
}  // namespace headrace::pipeline
