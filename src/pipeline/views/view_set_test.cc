#include "pipeline/views/view_set.h"

#include <gtest/gtest.h>

#include "pipeline/views/batch_driver.h"
#include "pipeline/views/events_fixture.h"
#include "pipeline/views/replay_fixture.h"

namespace headrace::pipeline {
namespace {

using namespace fixture;  // NOLINT: the test is written in the fixture's words

TEST(ViewSet, AgreesWithNaiveRecomputationUnderLateFutureTiedAndNullRows) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Replay replay(seed, 1 + seed % 7 * 6);
    for (int step = 0; step < 60; ++step) {
      replay.Step(seed % 5 == 0 ? 400 : 40);
      for (int i = 0; i < 6; ++i)
        ASSERT_EQ(replay.Check(replay.RandomQuestion()), "") << "seed " << seed << " step " << step;
    }
  }
}

TEST(ViewSet, BatchDriverGivesTheSameBitsForEveryCut) {
  for (uint64_t seed = 100; seed < 110; ++seed) {
    Replay replay(seed, 5);
    std::vector<std::pair<Replay::Question, ViewAnswer>> served;
    std::vector<base::EpochId> epochs;
    for (int step = 0; step < 60; ++step) {
      replay.Step(60);
      const auto pin = replay.views_.PinNewest();
      for (int i = 0; i < 4; ++i) {
        const auto question = replay.RandomQuestion();
        const auto key =
            KeyOf(replay.pipeline_->views[question.view], question.key, question.region);
        served.emplace_back(question, *replay.views_.Get(*pin, question.view, key, question.as_of));
        epochs.push_back(pin->epoch());
      }
    }
    std::shuffle(replay.rows_.begin(), replay.rows_.end(), replay.random_);
    for (size_t v = 0; v < replay.pipeline_->views.size(); ++v) {
      const ViewDefinition& view = replay.pipeline_->views[v];
      BatchDriver driver(view, replay.pipeline_->streams[0], std::nullopt);
      for (size_t begin = 0; begin < replay.rows_.size(); begin += 97) {
        const std::vector<Event> some(replay.rows_.begin() + static_cast<ptrdiff_t>(begin),
                                      replay.rows_.begin() + static_cast<ptrdiff_t>(std::min(
                                                                 begin + 97, replay.rows_.size())));
        std::vector<columns::Position> positions;
        for (const Event& event : some) positions.push_back({event.position});
        driver.Add(ToBatch(replay.pipeline_->streams[0].schema(), some), positions,
                   std::vector<int64_t>(some.size(), 0));
      }
      driver.Prepare();
      for (size_t i = 0; i < served.size(); ++i) {
        const auto& [question, answer] = served[i];
        if (question.view != v) continue;
        const ViewAnswer offline =
            driver.Answer({.key = KeyOf(view, question.key, question.region),
                           .as_of = question.as_of,
                           .cut = {.epoch_max = epochs[i], .known_at_max = {}, .without = {}}});
        ASSERT_EQ(Difference(view, answer, offline), "")
            << "seed " << seed << " view " << view.name << " key " << question.key;
      }
    }
  }
}

TEST(ViewSet, GivesAllItsMemoryBack) {
  base::MemoryBudget* budget = nullptr;
  auto replay = std::make_unique<Replay>(3, 50);
  for (int step = 0; step < 40; ++step) replay->Step(200);
  budget = &replay->budget_;
  EXPECT_GT(budget->used_bytes(base::MemoryAccount::kState), 50'000U);
  ManualClock clock;
  base::MemoryBudget other(1ULL << 30);
  {
    ViewSet views(EventsPipeline(), other, clock);
    views.BindStream(0, kStream);
    for (uint64_t e = 1; e <= 30; ++e) {
      std::vector<Event> events;
      for (int row = 0; row < 100; ++row) events.push_back(RandomEvent(replay->random_, 20));
      for (Event& event : events)
        event.at = static_cast<int64_t>(e * 50 - replay->random_() % 60) * kSecond;
      const log::EpochRef epoch = ToEpoch(views.definition().streams[0].schema(), e,
                                          static_cast<int64_t>(e) * 50 * kSecond, events);
      views.Apply({&epoch, 1});
    }
  }
  EXPECT_EQ(other.used_bytes(base::MemoryAccount::kState), 0U);
}

TEST(ViewSet, ForgetsRowsBehindTheHorizonAlsoOfKeysThatFellSilent) {
  Replay replay(5, 200);
  for (int step = 0; step < 30; ++step) replay.Step(300);
  const uint64_t before = replay.views_.status()[0].rows;
  ASSERT_GT(before, 1'000U);
  replay.now_ += 3600 * kSecond;
  replay.keys_ = 1;
  for (int step = 0; step < 20; ++step) replay.Step(5);
  EXPECT_LT(replay.views_.status()[0].rows, 500U);
  // What was forgotten is still known: count 0 and the event time of its newest row.
  for (int i = 0; i < 200; ++i) {
    replay.keys_ = 200;
    ASSERT_EQ(replay.Check(replay.RandomQuestion()), "");
  }
}

// Chunks that end at one time: the sweep drops the first, and the second must stay.
TEST(ViewSet, SweepsAChunkOnceThoughTheNextOneEndsAtTheSameTime) {
  ManualClock clock;
  base::MemoryBudget budget(1ULL << 30);
  ViewSet views(EventsPipeline(), budget, clock);
  views.BindStream(0, kStream);
  uint64_t epoch = 0;
  const auto apply = [&](std::vector<Event> events, int64_t now) {
    const log::EpochRef made =
        ToEpoch(views.definition().streams[0].schema(), ++epoch, now, events);
    views.Apply({&made, 1});
  };
  const int64_t time = 1'000'000 * kSecond;
  apply(std::vector<Event>(300, Event{.key = "key-0", .at = time, .x = 1}), time);
  const int64_t later = time + 3600 * kSecond;
  for (int step = 0; step < 5; ++step) apply({Event{.key = "key-1", .at = later}}, later);
  EXPECT_EQ(views.status()[5].name, "newest");
  EXPECT_EQ(views.status()[5].rows, 300U - 64U + 5U);  // 200 are needed
}

TEST(ViewSet, RefusesTimesBeforeItsHistory) {
  Replay replay(6, 1);
  replay.Step(10);
  const auto pin = replay.views_.PinNewest();
  const auto key = KeyOf(replay.pipeline_->views[0], "key-0", {});
  EXPECT_TRUE(replay.views_.Get(*pin, 0, key, pin->clock() - std::chrono::seconds(20)).has_value());
  const auto refused = replay.views_.Get(*pin, 0, key, pin->clock() - std::chrono::seconds(21));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kFailedPrecondition);
}

TEST(ViewSet, NothingIsVisibleBeforeTheFirstEpoch) {
  Replay replay(7, 1);
  EXPECT_EQ(replay.views_.visible(), base::EpochId{0});
  EXPECT_EQ(replay.views_.PinNewest().error().code(), base::ErrorCode::kUnavailable);
  replay.Step(3);
  EXPECT_EQ(replay.views_.visible().value, replay.epoch_);
  EXPECT_EQ(replay.views_.PinNewest()->epoch().value, replay.epoch_);
  EXPECT_EQ(replay.views_.PinNewest()->clock().us, replay.now_);
}

TEST(ViewSet, APinSeesOneVersionUntilItEnds) {
  Replay replay(8, 1);
  replay.Step(40);
  const auto key = KeyOf(replay.pipeline_->views[0], "key-0", {});
  const auto pin = replay.views_.PinNewest();
  const auto first = replay.views_.Get(*pin, 0, key, pin->clock());
  EXPECT_FALSE(replay.views_.HeldByReaders());
  replay.Step(40);
  EXPECT_TRUE(replay.views_.HeldByReaders());
  const auto again = replay.views_.Get(*pin, 0, key, pin->clock());
  EXPECT_EQ(Difference(replay.pipeline_->views[0], *first, *again), "");
  EXPECT_FALSE(pin->revoked());
}

TEST(ViewSet, RevokesAPinThatIsHeldTooLong) {
  Replay replay(9, 1);
  replay.Step(40);
  const auto key = KeyOf(replay.pipeline_->views[0], "key-0", {});
  const auto pin = replay.views_.PinNewest();
  replay.Step(40);
  EXPECT_TRUE(replay.views_.HeldByReaders());
  replay.clock_.now += ViewSet::kPinLifetime;
  EXPECT_FALSE(replay.views_.HeldByReaders());
  EXPECT_TRUE(pin->revoked());
  EXPECT_EQ(replay.views_.Get(*pin, 0, key, pin->clock()).error().code(),
            base::ErrorCode::kUnavailable);
}

TEST(ViewSet, HasRoomForALimitedNumberOfPins) {
  Replay replay(10, 1);
  replay.Step(3);
  std::vector<Pin> pins;
  for (size_t i = 0; i < ViewSet::kPinsMax; ++i) pins.push_back(*replay.views_.PinNewest());
  EXPECT_EQ(replay.views_.PinNewest().error().code(), base::ErrorCode::kResourceExhausted);
  pins.pop_back();
  EXPECT_TRUE(replay.views_.PinNewest().has_value());
}

TEST(ViewSet, AFlippedBitShowsInTheAnswer) {
  Replay replay(11, 1);
  replay.Step(40);
  replay.Step(40);
  const auto key = KeyOf(replay.pipeline_->views[0], "key-0", {});
  const auto before = replay.views_.Get(*replay.views_.PinNewest(), 0, key,
                                        base::Timestamp{replay.now_ + 60 * kSecond});
  ASSERT_TRUE(replay.views_.CorruptForDemonstration(0, key).has_value());
  const auto after = replay.views_.Get(*replay.views_.PinNewest(), 0, key,
                                       base::Timestamp{replay.now_ + 60 * kSecond});
  EXPECT_NE(Difference(replay.pipeline_->views[0], *before, *after), "");
  EXPECT_EQ(replay.views_.CorruptForDemonstration(0, "no such key").error().code(),
            base::ErrorCode::kNotFound);
}

}  // namespace
}  // namespace headrace::pipeline
