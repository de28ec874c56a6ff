// Answers as of every row, held to another view set that gets the same rows one an epoch and is
// asked after each: what it would have told a reader who came at that moment.

#include "pipeline/views/row_answers.h"

#include <map>

#include <gtest/gtest.h>

#include "pipeline/views/replay_fixture.h"

namespace headrace::pipeline {
namespace {

using namespace fixture;  // NOLINT: the test is written in the fixture's words

// Keeps what it is told.
class Kept final : public RowAnswerReader {
 public:
  void Take(base::EpochId epoch, size_t view, const RowAnswers& answers) override {
    for (const uint32_t row : answers.rows())
      answers_[{view, epoch.value, row}] = answers.AnswerOf(row);
  }
  std::map<std::tuple<size_t, uint64_t, uint32_t>, ViewAnswer> answers_;
};

// The views of the fixture, then sums and counts alone, which slide, and two that leave out the row
// itself.
std::shared_ptr<PipelineDefinition> Pipeline() {
  auto pipeline = EventsPipeline();
  pipeline->views.push_back(MakeView(pipeline->streams[0].schema(), "sums", {kKey}, {3, 40},
                                     {{"rows", AggregateKind::kCount, "", ""},
                                      {"trues", AggregateKind::kCount, "", "b"},
                                      {"sum_x", AggregateKind::kSum, "x", "b"},
                                      {"sum_f", AggregateKind::kSum, "f", ""},
                                      {"mean_f", AggregateKind::kMean, "f", "x > 10"},
                                      {"rate", AggregateKind::kRate, "", ""},
                                      {"rate_x", AggregateKind::kRate, "x", "b"},
                                      {"share_b", AggregateKind::kShare, "b", ""}}));
  pipeline->views.push_back(Coarse(
      MakeView(pipeline->streams[0].schema(), "coarse_sums", {kKey}, {4, 40}, Sums()), 3'000));
  pipeline->views.push_back(MakeView(pipeline->streams[0].schema(), "others",
                                     {std::chrono::seconds(20), LastRows(3)}, EveryAlgebra()));
  pipeline->views.push_back(
      MakeView(pipeline->streams[0].schema(), "old", {std::chrono::seconds(30)}, Sums()));
  pipeline->views.back().ttl = std::chrono::milliseconds(300);
  pipeline->views.push_back(Coarse(
      MakeView(pipeline->streams[0].schema(), "before_coarse", {kKey}, {30}, Sums()), 5'000));
  for (size_t i = pipeline->views.size() - 3; i < pipeline->views.size(); ++i)
    pipeline->views[i].self = SelfRule::kExcluded;
  return pipeline;
}

class TwoSets {
 public:
  explicit TwoSets(uint64_t seed)
      : random_(seed), together_(Pipeline(), budget_, clock_), alone_(Pipeline(), budget_, clock_) {
    for (ViewSet* views : {&together_, &alone_}) views->BindStream(0, kStream);
    for (size_t v = 0; v < together_.definition().views.size(); ++v)
      together_.AnswerRows(v, &kept_);
  }

  // `disorder`: one in so many rows is out of order.
  void Step(size_t rows, size_t keys, uint64_t disorder) {
    std::vector<Event> events;
    for (size_t row = 0; row < rows; ++row) {
      Event event = RandomEvent(random_, keys);
      now_ += static_cast<int64_t>(random_() % 3 == 0 ? random_() % gap_us_ : 0);
      event.at = now_;
      if (random_() % disorder == 0) event.at = now_ - static_cast<int64_t>(random_() % 60'000'000);
      if (random_() % (20 * disorder) == 0)
        event.at = now_ - static_cast<int64_t>(random_() % 700'000'000);
      if (random_() % disorder == 0) event.at = now_ + static_cast<int64_t>(random_() % 5'000'000);
      events.push_back(std::move(event));
    }
    const columns::SchemaRef schema = together_.definition().streams[0].schema();
    const log::EpochRef epoch = ToEpoch(schema, ++epoch_, now_, events);
    together_.Apply({&epoch, 1});
    std::vector<Event> none;
    const log::EpochRef tick = ToEpoch(schema, ++single_epoch_, clock_before_, none);
    alone_.Apply({&tick, 1});
    for (size_t row = 0; row < events.size(); ++row) {
      std::vector<Event> one = {events[row]};
      const log::EpochRef single = ToEpoch(schema, ++single_epoch_, clock_before_, one);
      CheckAll(SelfRule::kExcluded, row, events[row]);
      alone_.Apply({&single, 1});
      CheckAll(SelfRule::kAsAsked, row, events[row]);
    }
    clock_before_ = now_;
  }

  void CheckAll(SelfRule self, size_t row, const Event& event) {
    for (size_t v = 0; v < together_.definition().views.size(); ++v)
      if (together_.definition().views[v].self == self) Check(v, row, event);
  }

  void Check(size_t v, size_t row, const Event& event) {
    const ViewDefinition& view = alone_.definition().views[v];
    const auto found = kept_.answers_.find({v, epoch_, row});
    const bool of_view = !view.where || (event.x && *event.x > 0);
    const auto pin = alone_.PinNewest();
    const auto expected =
        alone_.Get(*pin, v, KeyOf(view, event.key, event.region), base::Timestamp{event.at});
    ASSERT_EQ(found != kept_.answers_.end(), of_view && expected.has_value())
        << view.name << " epoch " << epoch_ << " row " << row;
    if (found == kept_.answers_.end()) return;
    ++checked_;
    ViewAnswer answer = found->second;
    for (size_t i = 0; i < answer.values.size(); ++i)
      ASSERT_EQ(answer.values[i].type(), view.outputs[i].type);
    ASSERT_EQ(Difference(view, answer, *expected), "")
        << view.name << " epoch " << epoch_ << " row " << row;
  }

  std::mt19937_64 random_;
  Kept kept_;
  ManualClock clock_;
  base::MemoryBudget budget_{1ULL << 40};
  ViewSet together_;
  ViewSet alone_;
  uint64_t gap_us_ = 200'000;
  int64_t now_ = 1'000'000 * kSecond;
  int64_t clock_before_ = 0;  // of the epoch before: nothing is forgotten at a later one yet
  uint64_t epoch_ = 0;
  uint64_t single_epoch_ = 0;
  size_t checked_ = 0;
};

TEST(RowAnswers, AreWhatAReaderWouldHaveBeenToldAfterEachRow) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    TwoSets sets(seed);
    const size_t keys = seed % 3 == 0 ? 30 : seed % 3;
    for (int step = 0; step < 25; ++step) {
      SCOPED_TRACE("seed " + std::to_string(seed) + " step " + std::to_string(step));
      sets.Step(1 + sets.random_() % 80, std::max<size_t>(1, keys), seed % 2 == 0 ? 8 : 1'000);
      if (testing::Test::HasFatalFailure()) return;
      if (step % 10 == 9) sets.now_ += 30 * kSecond;
    }
    EXPECT_GT(sets.checked_, 1'500U);
  }
}

// More time than the longest window and the history in one epoch.
TEST(RowAnswers, OfEpochsThatSpanMoreThanTheHistory) {
  for (uint64_t seed = 31; seed <= 34; ++seed) {
    TwoSets sets(seed);
    sets.gap_us_ = 60'000'000;
    for (int step = 0; step < 12; ++step) {
      SCOPED_TRACE("seed " + std::to_string(seed) + " step " + std::to_string(step));
      sets.Step(150, 1 + seed % 3, 1'000);
      if (testing::Test::HasFatalFailure()) return;
    }
    EXPECT_GT(sets.checked_, 4'000U);
  }
}

TEST(RowAnswers, EndWhenTheyAreNotWantedAnyMore) {
  TwoSets sets(5);
  sets.Step(10, 1, 1'000);
  const size_t before = sets.kept_.answers_.size();
  for (size_t v = 0; v < sets.together_.definition().views.size(); ++v)
    sets.together_.AnswerRows(v, nullptr);
  std::vector<Event> events = {RandomEvent(sets.random_, 1)};
  events[0].at = sets.now_;
  const log::EpochRef epoch =
      ToEpoch(sets.together_.definition().streams[0].schema(), ++sets.epoch_, sets.now_, events);
  sets.together_.Apply({&epoch, 1});
  EXPECT_EQ(sets.kept_.answers_.size(), before);
}

}  // namespace
}  // namespace headrace::pipeline
