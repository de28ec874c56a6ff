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

}  // namespace
}  // namespace headrace::pipeline
