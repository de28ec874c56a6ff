// Keys of many thousand rows, whose trees have several levels: late rows anywhere, rows ahead of
// the clock, eviction at the same time, questions about any time. What the online views answer is
// held to the batch driver, which has no trees, cut at the epoch of the answer.

#include <gtest/gtest.h>

#include "pipeline/views/batch_driver.h"
#include "pipeline/views/replay_fixture.h"

namespace headrace::pipeline {
namespace {

using namespace fixture;  // NOLINT: the test is written in the fixture's words

struct Served {
  Replay::Question question;
  base::EpochId epoch;
  ViewAnswer answer;
};

void Ask(Replay& replay, size_t questions, std::vector<Served>& served) {
  const auto pin = replay.views_.PinNewest();
  for (size_t i = 0; i < questions; ++i) {
    const auto question = replay.RandomQuestion();
    const auto key = KeyOf(replay.pipeline_->views[question.view], question.key, question.region);
    served.push_back(
        {question, pin->epoch(), *replay.views_.Get(*pin, question.view, key, question.as_of)});
  }
}

BatchDriver DriverOf(const Replay& replay, size_t view) {
  BatchDriver driver(replay.pipeline_->views[view], replay.pipeline_->streams[0], std::nullopt);
  for (const log::EpochRef& epoch : replay.epochs_) {
    const columns::ColumnBatch* rows = epoch->RowsOf(kStream);
    if (rows == nullptr) continue;
    std::vector<columns::Position> positions;
    for (size_t row = 0; row < rows->rows(); ++row)
      positions.push_back(columns::Position::Of(epoch->id, row));
    driver.Add(*rows, positions, std::vector<int64_t>(rows->rows(), 0));
  }
  driver.Prepare();
  return driver;
}

void CheckAll(const Replay& replay, const std::vector<Served>& served, uint64_t seed) {
  for (size_t v = 0; v < replay.pipeline_->views.size(); ++v) {
    const ViewDefinition& view = replay.pipeline_->views[v];
    const BatchDriver driver = DriverOf(replay, v);
    for (const Served& each : served) {
      if (each.question.view != v) continue;
      const ViewAnswer offline =
          driver.Answer({.key = KeyOf(view, each.question.key, each.question.region),
                         .as_of = each.question.as_of,
                         .cut = {.epoch_max = each.epoch, .known_at_max = {}, .without = {}}});
      ASSERT_EQ(Difference(view, each.answer, offline), "")
          << "seed " << seed << " view " << view.name << " epoch " << each.epoch.value << " as_of "
          << each.question.as_of.us;
    }
  }
}

TEST(LongKeys, AgreeWithTheBatchDriverAtEveryStep) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    Replay replay(seed, 1 + seed % 2);
    std::vector<Served> served;
    for (int step = 0; step < 80; ++step) {
      replay.Step(600);
      Ask(replay, 12, served);
    }
    ASSERT_GT(replay.views_.status()[0].rows, 15'000U);
    EXPECT_LT(replay.views_.status()[9].rows, 9'000U) << "coarse: its rows are in tiles";
    EXPECT_LT(replay.views_.status()[10].rows, 9'000U) << "total: its rows are in a tile";
    // Time leaves most of it behind, in small steps.
    for (int step = 0; step < 60; ++step) {
      replay.now_ += static_cast<int64_t>(seed * 3) * kSecond;
      replay.Step(20);
      Ask(replay, 12, served);
    }
    CheckAll(replay, served, seed);
  }
}

// Most rows come in any order over all the time that is kept.
TEST(LongKeys, RowsInAnyOrder) {
  for (uint64_t seed = 11; seed <= 14; ++seed) {
    Replay replay(seed, 1);
    std::vector<Served> served;
    for (int step = 0; step < 60; ++step) {
      replay.now_ += kSecond;
      std::vector<Event> events;
      for (int row = 0; row < 200; ++row) {
        Event event = RandomEvent(replay.random_, 1);
        event.at = replay.now_ - static_cast<int64_t>(replay.random_() % 700'000'000);
        events.push_back(std::move(event));
      }
      const log::EpochRef epoch =
          ToEpoch(replay.pipeline_->streams[0].schema(), ++replay.epoch_, replay.now_, events);
      replay.views_.Apply({&epoch, 1});
      replay.epochs_.push_back(epoch);
      Ask(replay, 12, served);
    }
    CheckAll(replay, served, seed);
  }
}

// Many rows with one event time, in several chunks: edges and as_of fall between them.
TEST(LongKeys, ManyRowsOfOneTime) {
  Replay replay(21, 1);
  std::vector<Served> served;
  for (int step = 0; step < 40; ++step) {
    replay.now_ += static_cast<int64_t>(step % 3) * 5 * kSecond;
    std::vector<Event> events;
    for (int row = 0; row < 150; ++row) {
      Event event = RandomEvent(replay.random_, 1);
      event.at = replay.now_ - static_cast<int64_t>(replay.random_() % 4) * 5 * kSecond;
      events.push_back(std::move(event));
    }
    const log::EpochRef epoch =
        ToEpoch(replay.pipeline_->streams[0].schema(), ++replay.epoch_, replay.now_, events);
    replay.views_.Apply({&epoch, 1});
    replay.epochs_.push_back(epoch);
    for (int i = 0; i < 12; ++i) {
      auto question = replay.RandomQuestion();
      question.as_of.us = replay.now_ - static_cast<int64_t>(replay.random_() % 4) * 5 * kSecond;
      const auto pin = replay.views_.PinNewest();
      const auto key = KeyOf(replay.pipeline_->views[question.view], question.key, question.region);
      served.push_back(
          {question, pin->epoch(), *replay.views_.Get(*pin, question.view, key, question.as_of)});
    }
  }
  CheckAll(replay, served, 21);
}

std::vector<Feature> NewestValues() {
  using enum AggregateKind;
  return {{"rows", kCount, "", ""},
          {"least_f", kMin, "f", ""},
          {.name = "last3_x", .kind = kLastN, .argument = "x", .where = {}, .size = 3},
          {.name = "last9_s", .kind = kLastN, .argument = "s", .where = "b", .size = 9},
          {.name = "set_i", .kind = kValues, .argument = "i", .where = {}, .size = 4}};
}

// They are full long before their windows end, and the rows before are passed over: also beside an
// event that no epoch has, which may be older than rows that are looked at after it.
TEST(LongKeys, NewestValuesAreReadNoFurther) {
  std::shared_ptr<PipelineDefinition> pipeline = EventsPipeline();
  const columns::SchemaRef schema = pipeline->streams[0].schema();
  pipeline->views.clear();
  pipeline->views.push_back(MakeView(schema, "newest", {kKey}, {1, 60, 600}, NewestValues()));
  const ViewDefinition& view = pipeline->views[0];
  ManualClock clock;
  base::MemoryBudget budget{1ULL << 40};
  ViewSet views(pipeline, budget, clock);
  views.BindStream(0, kStream);
  std::mt19937_64 random(31);
  std::vector<Event> rows;
  int64_t now = 1'000'000 * kSecond;
  const auto key = KeyOf(view, "key-0", {});
  for (uint64_t epoch = 1; epoch <= 40; ++epoch) {
    std::vector<Event> events;
    for (int row = 0; row < 120; ++row) {
      now += static_cast<int64_t>(random() % 200'000);
      Event event = RandomEvent(random, 1);
      event.at = now - (random() % 8 == 0 ? static_cast<int64_t>(random() % 60) * kSecond : 0);
      events.push_back(std::move(event));
    }
    const log::EpochRef made = ToEpoch(schema, epoch, now, events);
    rows.insert(rows.end(), events.begin(), events.end());
    views.Apply({&made, 1});
    for (int i = 0; i < 6; ++i) {
      const int64_t as_of = now + static_cast<int64_t>(random() % 60 - 20) * kSecond;
      const auto pin = views.PinNewest();
      ASSERT_EQ(Difference(view, *views.Get(*pin, 0, key, {as_of}),
                           NaiveAnswer(view, NewestValues(), rows, "key-0", {}, as_of)),
                "")
          << epoch;
      Event ahead = RandomEvent(random, 1);
      ahead.at = now - static_cast<int64_t>(random() % 90) * kSecond;
      ahead.position = columns::Position::Of({epoch + 1}, 0).packed;
      std::vector<Event> with = rows;
      with.push_back(ahead);
      ASSERT_EQ(Difference(view,
                           *views.GetAhead(*pin, 0, key, {as_of},
                                           {pipeline->streams[0].name, ToBatch(schema, {ahead})}),
                           NaiveAnswer(view, NewestValues(), with, "key-0", {}, as_of)),
                "")
          << epoch;
    }
  }
}

}  // namespace
}  // namespace headrace::pipeline
