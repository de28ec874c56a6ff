// Views whose keys are forgotten: the answers are those of the oracle, and memory stays within what
// the keys of one time take, however many come.

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <gtest/gtest.h>

#include "pipeline/views/capture_fixture.h"
#include "pipeline/views/replay_fixture.h"
#include "pipeline/views/view_layout.h"

namespace headrace::pipeline {
namespace {

using namespace fixture;  // NOLINT: the test is written in the fixture's words

// The fixture's views with short windows, all of them bounded by time, and a ttl.
std::shared_ptr<PipelineDefinition> ForgettingPipeline() {
  auto pipeline = EventsPipeline();
  const columns::SchemaRef schema = pipeline->streams[0].schema();
  using enum Window::Kind;
  const auto windows = [&](size_t view) -> std::vector<Window> {
    switch (view) {
      case 4: return Ending(5, {std::chrono::seconds(10)});
      case 7: return {WindowOf(kTumbling, 10), WindowOf(kPreviousTumbling, 10)};
      case 8: return {WindowOf(kSession, 30, 2)};
      default: return {std::chrono::seconds(5), std::chrono::seconds(12)};
    }
  };
  for (size_t i = 0; i < pipeline->views.size(); ++i) {
    ViewDefinition& view = pipeline->views[i];
    const auto by = view.by;
    auto where = std::move(view.where);
    ViewDefinition shorter = MakeView(schema, view.name, windows(i), FeaturesOf(i));
    if (view.precision) shorter = Coarse(std::move(shorter), 2'000);
    shorter.by = by;
    shorter.entity = view.entity;
    shorter.where = std::move(where);
    shorter.history = std::chrono::seconds(20);
    shorter.ttl = std::chrono::seconds(6);
    view = std::move(shorter);
  }
  return pipeline;
}

TEST(Forgetting, AnswersAreThoseOfTheRowsWithinReachTtlAndHistory) {
  std::map<FeatureStatus, int> met;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    Replay replay(seed, 3 + seed % 4 * 8, ForgettingPipeline());
    replay.births_every_ = kSecond * (seed % 3 + 1);
    for (int step = 0; step < 120; ++step) {
      replay.Step(seed % 4 == 0 ? 80 : 25);
      for (int i = 0; i < 6; ++i) {
        const auto question = replay.RandomQuestion();
        ASSERT_EQ(replay.Check(question), "") << "seed " << seed << " step " << step;
        const ViewDefinition& view = replay.pipeline_->views[question.view];
        const auto pin = replay.views_.PinNewest();
        const auto answer = replay.views_.Get(
            *pin, question.view, KeyOf(view, question.key, question.region), question.as_of);
        ++met[answer->statuses[0]];
      }
    }
    std::set<std::string> ever;
    for (const Event& event : replay.rows_) ever.insert(event.key);
    EXPECT_LT(replay.views_.status()[0].keys, ever.size() * 3 / 4) << "seed " << seed;
  }
  for (const FeatureStatus status :
       {FeatureStatus::kPresent, FeatureStatus::kNotFound, FeatureStatus::kOutsideMaxAge})
    EXPECT_GT(met[status], 100);
}

// A step may forget a key, and remove it, of which those before it still tell.
TEST(Forgetting, ReadersOfTheStepBeforeSeeNothingOfIt) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    Replay replay(seed, 4, ForgettingPipeline());
    replay.births_every_ = kSecond / 4;
    for (int step = 0; step < 120; ++step) {
      const auto pin = replay.views_.PinNewest();
      const std::vector<Event> rows = replay.rows_;
      const int64_t clock = replay.now_;
      replay.Step(30);
      for (int i = 0; step > 0 && i < 20; ++i) {
        auto question = replay.RandomQuestion();
        question.key = rows.empty() ? question.key : rows[replay.random_() % rows.size()].key;
        question.as_of = {clock - static_cast<int64_t>(replay.random_() % 21) * kSecond};
        ASSERT_EQ(replay.Check(question, replay.views_, *pin, rows), "")
            << "seed " << seed << " step " << step;
      }
    }
  }
}

// The rows that the state has of a key are its own: those that are not; empty when none.
std::string RowsOfOthers(Replay& replay, const Replay::Question& question, ViewSet& views) {
  const auto pin = views.PinNewest();
  const ViewDefinition& view = replay.pipeline_->views[question.view];
  const auto rows =
      views.RowsOf(*pin, question.view, KeyOf(view, question.key, question.region), 10'000);
  if (!rows) return rows.error().ToString();
  for (const columns::Position position : rows->positions) {
    const auto event = std::ranges::find(replay.rows_, position.packed, &Event::position);
    if (event == replay.rows_.end() || event->key != question.key)
      return view.name + " " + question.key + " has a row of " + event->key;
  }
  return "";
}

// Ever new keys, each with a few rows.
TEST(Forgetting, MemoryIsThatOfTheKeysOfOneTime) {
  ManualClock clock;
  base::MemoryBudget budget(1ULL << 40);
  const auto pipeline = ForgettingPipeline();
  ViewSet views(pipeline, budget, clock);
  views.BindStream(0, kStream);
  std::mt19937_64 random(1);
  constexpr uint64_t kKeysASecond = 200;
  uint64_t bytes_early = 0;
  for (uint64_t second = 1; second <= 600; ++second) {
    std::vector<Event> events;
    for (uint64_t key = 0; key < kKeysASecond; ++key) {
      Event event = RandomEvent(random, 1);
      event.key = "a key that is as long as a session's: " + std::to_string(second * 1000 + key);
      event.at = static_cast<int64_t>(second) * kSecond;
      events.push_back(std::move(event));
    }
    const log::EpochRef epoch = ToEpoch(pipeline->streams[0].schema(), second,
                                        static_cast<int64_t>(second) * kSecond, events);
    views.Apply({&epoch, 1});
    if (second == 200) bytes_early = budget.used_bytes(base::MemoryAccount::kState);
  }
  for (const ViewStatus& status : views.status()) {
    const ViewDefinition& view = pipeline->views[*pipeline->ViewNamed(status.name)];
    const auto kept_s =
        std::chrono::duration_cast<std::chrono::seconds>(*view.forgets_after() + view.history);
    EXPECT_LT(status.keys, static_cast<uint64_t>(kept_s.count()) * kKeysASecond * 3 / 2)
        << view.name;
  }
  EXPECT_LT(budget.used_bytes(base::MemoryAccount::kState), bytes_early * 5 / 4);
}

// While pages are taken keys are forgotten, come again, and numbers go to other keys.
TEST(Forgetting, RestoredStateAnswersAsIfEveryEpochHadBeenApplied) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    Replay replay(seed, 2 + seed % 5 * 60, ForgettingPipeline());
    replay.births_every_ = kSecond / static_cast<int64_t>(1 + seed % 40);
    const size_t rows = seed % 5 == 0 ? 200 : 60;
    for (int step = 0; step < 40; ++step) replay.Step(rows);
    size_t calls = 0;
    const Captured captured = CaptureAll(replay.views_, seed % 3 == 0 ? 300 : 5000, [&] {
      ++calls;
      if (calls % (seed % 4 + 1) == 0 && calls < 120) replay.Step(rows);
    });
    for (int step = 0; step < static_cast<int>(seed % 6); ++step) replay.Step(rows);
    ManualClock clock;
    base::MemoryBudget budget(1ULL << 40);
    ViewSet restored(replay.pipeline_, budget, clock);
    restored.BindStream(0, kStream);
    Restore(restored, captured, replay.epochs_);
    ASSERT_EQ(restored.visible(), replay.views_.visible());
    for (int round = 0; round < 30; ++round) {
      for (int i = 0; i < 15; ++i) {
        const auto question = replay.RandomQuestion();
        ASSERT_EQ(replay.Check(question, restored), "")
            << "seed " << seed << " round " << round << " captured epochs " << captured.after.value
            << " to " << captured.through.value;
        ASSERT_EQ(replay.Check(question), "") << "seed " << seed << " round " << round;
        ASSERT_EQ(RowsOfOthers(replay, question, restored), "") << "seed " << seed;
        ASSERT_EQ(RowsOfOthers(replay, question, replay.views_), "") << "seed " << seed;
      }
      const size_t before = replay.epochs_.size();
      replay.Step(rows);
      restored.Apply(std::span(replay.epochs_).subspan(before));
    }
  }
}

// Keys by number, each with events of its own.
struct Crowd {
  Crowd() : views(pipeline, budget, clock) { views.BindStream(0, kStream); }

  // One event of every `each`-th key from `first` up to `last`.
  void Apply(size_t first, size_t last, size_t each = 1) {
    std::vector<Event> batch;
    for (size_t key = first; key < last; key += each) {
      batch.push_back(RandomEvent(random, 1));
      batch.back().key = "key-" + std::to_string(key);
      batch.back().at = now;
    }
    epochs.push_back(ToEpoch(pipeline->streams[0].schema(), epochs.size() + 1, now, batch));
    for (const Event& event : batch) of_keys[event.key].push_back(event);
    views.Apply({&epochs.back(), 1});
  }
  // So many seconds, each with an event of every `each`-th key from `first` up to `last`.
  void Live(int seconds, size_t first, size_t last, size_t each = 1) {
    for (int second = 0; second < seconds; ++second) {
      now += kSecond;
      Apply(first, last, each);
    }
  }

  // Now and at the beginning of the history; empty when there is none.
  std::string WrongAnswer(ViewSet& restored, size_t first, size_t last) {
    const auto pin = restored.PinNewest();
    for (size_t key = first; key < last; ++key) {
      const std::vector<Event>& events = of_keys.at("key-" + std::to_string(key));
      for (size_t view = 0; view < pipeline->views.size(); ++view) {
        const ViewDefinition& of = pipeline->views[view];
        const Event& event = events.back();
        for (const int64_t as_of : {now, now - of.history.count()}) {
          const auto answer = restored.Get(*pin, view, KeyOf(of, event.key, event.region), {as_of});
          if (!answer) return answer.error().ToString();
          const ViewAnswer naive =
              NaiveAnswer(of, FeaturesOf(view), events, event.key, event.region, as_of);
          const std::string difference = Difference(of, *answer, naive);
          if (!difference.empty()) return of.name + " " + event.key + " " + difference;
        }
      }
    }
    return "";
  }

  // How many rows keys have in the first view that are not theirs.
  int RowsOfOthers(ViewSet& restored) {
    const auto pin = restored.PinNewest();
    int count = 0;
    for (const auto& [key, events] : of_keys) {
      const auto rows = restored.RowsOf(*pin, 0, KeyOf(pipeline->views[0], key, {}), 1'000);
      for (const columns::Position position : rows->positions)
        count += std::ranges::count(events, position.packed, &Event::position) == 1 ? 0 : 1;
    }
    return count;
  }

  std::shared_ptr<PipelineDefinition> pipeline = ForgettingPipeline();
  ManualClock clock;
  base::MemoryBudget budget{1ULL << 40};
  ViewSet views;
  std::mt19937_64 random{1};
  int64_t now = Replay::kBegin;
  std::vector<log::EpochRef> epochs;
  std::map<std::string, std::vector<Event>> of_keys;
};

// Others have all pins each seventh time, mostly in the middle of a piece: what it has by then is
// written.
TEST(Forgetting, APieceThatFailsHalfWayIsWritten) {
  constexpr size_t kKeys = 3'000;
  Crowd crowd;
  crowd.Apply(0, kKeys);
  std::vector<Pin> of_others;
  bool is_inside = false;
  int asked = 0;
  crowd.clock.when_asked = [&] {
    if (std::exchange(is_inside, true)) return;
    of_others.clear();
    for (bool more = ++asked % 7 == 0; more;) {
      auto pin = crowd.views.PinNewest();
      more = pin.has_value();
      if (pin) of_others.push_back(std::move(*pin));
    }
    is_inside = false;
  };
  const Captured captured = CaptureAll(crowd.views, 1 << 20, [] {}, WhenFull::kAskAgain);
  crowd.clock.when_asked = nullptr;
  of_others.clear();
  EXPECT_GT(asked, 50);

  ViewSet restored(crowd.pipeline, crowd.budget, crowd.clock);
  restored.BindStream(0, kStream);
  Restore(restored, captured, crowd.epochs);
  for (size_t view = 0; view < crowd.pipeline->views.size(); ++view)
    EXPECT_EQ(restored.status()[view].rows, crowd.views.status()[view].rows);
  EXPECT_EQ(crowd.WrongAnswer(restored, 0, kKeys), "");
}

// While pages are taken keys come and are given the numbers of forgotten ones, on pages that were
// taken already. Until a replay gets there, such a key looks like one of which nothing is left.
TEST(Forgetting, KeysThatCameDuringACaptureAreThereAfterAReplay) {
  constexpr size_t kOldKeys = 6'000;
  Crowd crowd;
  crowd.Apply(0, kOldKeys);
  crowd.Live(300, 0, kOldKeys, 4);  // so that of every page some stay
  ASSERT_LT(crowd.views.status()[0].keys, kOldKeys / 2);
  size_t keys = kOldKeys;
  const Captured captured = CaptureAll(crowd.views, 30'000, [&] {
    crowd.Apply(keys, keys + 5);
    keys += 5;
  });

  ViewSet restored(crowd.pipeline, crowd.budget, crowd.clock);
  restored.BindStream(0, kStream);
  Restore(restored, captured, crowd.epochs);
  EXPECT_EQ(crowd.WrongAnswer(restored, kOldKeys, keys), "");
}

// The numbers of forgotten keys go to others while pages have rows of the former.
TEST(Forgetting, RowsThatWereCapturedOfAForgottenKeyCountForNoOther) {
  constexpr size_t kKeys = 1'000;
  Crowd crowd;
  crowd.Apply(0, kKeys);
  size_t pieces = 0;
  const Captured captured = CaptureAll(crowd.views, 15'000, [&] {
    // Of the first pages' keys nothing stays.
    ++pieces;
    if (pieces <= 20) crowd.Live(pieces == 1 ? 400 : 20, kKeys / 2, kKeys);
    if (pieces == 20) crowd.Apply(kKeys, 2 * kKeys);
  });
  ASSERT_GT(pieces, 20U);

  ViewSet restored(crowd.pipeline, crowd.budget, crowd.clock);
  restored.BindStream(0, kStream);
  Restore(restored, captured, {});
  EXPECT_GT(crowd.RowsOfOthers(restored), 100) << "or else this tests nothing";

  restored.Apply(std::span(crowd.epochs).subspan(captured.after.value));
  EXPECT_EQ(crowd.WrongAnswer(restored, 0, 2 * kKeys), "");
  EXPECT_EQ(crowd.RowsOfOthers(restored), 0);
}

TEST(Forgetting, WhatAReaderHeldIsFreedThoughNoEpochComes) {
  Crowd crowd;
  crowd.Apply(0, 1'000);
  {
    auto held = crowd.views.PinNewest();
    ASSERT_TRUE(held->TurnIntoHold());
    crowd.Live(50, 0, 1'000);
  }
  const uint64_t spare = crowd.budget.spare_bytes();
  crowd.views.FreeRetired();
  EXPECT_GT(crowd.budget.spare_bytes(), spare + 100'000);
}

// Else the keys of a stream that is refused would go by sixteen a step.
TEST(Forgetting, StateGoesInFewStepsWhileMemoryIsFull) {
  constexpr size_t kKeys = 10'000;
  Crowd crowd;
  crowd.Apply(0, kKeys);
  crowd.now += 1'000 * kSecond;
  crowd.Live(1, 0, 0);
  EXPECT_GT(crowd.views.status()[0].keys, kKeys - 100);
  crowd.budget.Force(base::MemoryAccount::kIngest, 1LL << 40);
  const uint64_t spare = crowd.budget.spare_bytes();
  crowd.Live(5, 0, 0);
  for (const ViewStatus& view : crowd.views.status()) EXPECT_EQ(view.keys, 0U) << view.name;
  EXPECT_GT(crowd.budget.spare_bytes(), spare + kKeys * 100);
}

TEST(Forgetting, StateThatForgotSoonerIsNotThatOfALongerTtl) {
  const auto layout_of = [](std::optional<int64_t> ttl_s, int64_t window_s, int64_t history_s) {
    const auto pipeline = ForgettingPipeline();
    ViewDefinition& view = pipeline->views[0];
    view.windows = {{std::chrono::seconds(window_s)}, {std::chrono::seconds(2)}};
    view.history = std::chrono::seconds(history_s);
    view.ttl = std::nullopt;
    if (ttl_s) view.ttl = std::chrono::seconds(*ttl_s);
    const auto layout = DecodeLayout(EncodeLayout(LayoutOf(*pipeline, ViewsSince{})));
    HR_CHECK(layout.has_value(), "what was encoded is decoded");
    return layout->views[0];
  };
  const auto layout = [&](std::optional<int64_t> ttl_s) { return layout_of(ttl_s, 12, 20); };
  EXPECT_EQ(layout(3).kept, layout({}).kept);
  EXPECT_TRUE(IsStateOf(layout(3), layout(3)));
  EXPECT_TRUE(IsStateOf(layout(3), layout(2)));
  EXPECT_FALSE(IsStateOf(layout(3), layout(4)));
  EXPECT_FALSE(IsStateOf(layout(3), layout({})));
  EXPECT_TRUE(IsStateOf(layout({}), layout(3)));
  // The same rows are kept, and the keys as much longer.
  EXPECT_TRUE(IsStateOf(layout(3), layout_of(3, 18, 14)));
  EXPECT_TRUE(IsStateOf(layout(3), layout_of(3, 6, 26)));
  EXPECT_FALSE(IsStateOf(layout(3), layout_of(4, 6, 26)));
}

// An earlier time than the history needs what the state may have let go with the key.
TEST(Forgetting, RowsOfAKeyThatIsNotKnownAreAllThereOnlyAsFarBackAsKeysAreKept) {
  Replay replay(3, 10, ForgettingPipeline());
  for (int step = 0; step < 10; ++step) replay.Step(50);
  const ViewDefinition& view = replay.pipeline_->views[0];
  const auto pin = replay.views_.PinNewest();
  const auto rows = replay.views_.RowsOf(*pin, 0, KeyOf(view, "nobody", {}), 1'000);
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->size(), 0U);
  EXPECT_EQ(rows->complete_after, (pin->clock() - *view.forgets_after() - view.history).us);
}

}  // namespace
}  // namespace headrace::pipeline
