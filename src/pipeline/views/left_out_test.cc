// A question about a row that was just pushed: views with `self: excluded` answer as if it had
// never come. Held to the naive oracle over all other rows, for every kind of window and aggregate,
// and to the batch driver.

#include "pipeline/views/left_out.h"

#include <gtest/gtest.h>

#include "pipeline/views/batch_driver.h"
#include "pipeline/views/replay_fixture.h"

namespace headrace::pipeline {
namespace {

using namespace fixture;  // NOLINT: the test is written in the fixture's words

class Pushed : public Replay {
 public:
  Pushed(uint64_t seed, size_t keys, SelfRule self) : Replay(seed, keys) {
    for (ViewDefinition& view : pipeline_->views) view.self = self;
  }

  // Where each of rows_ stands.
  void NotePositions() {
    for (; noted_ < epochs_.size(); ++noted_) {
      const columns::ColumnBatch* rows = epochs_[noted_]->RowsOf(kStream);
      for (uint32_t row = 0; rows != nullptr && row < rows->rows(); ++row)
        positions_.push_back(columns::Position::Of(epochs_[noted_]->id, row));
    }
  }
  OwnRow OwnOf(size_t row) const {
    return {pipeline_->streams[0].name,
            positions_[row].epoch(),
            {rows_[row].at},
            positions_[row].row()};
  }
  size_t RandomRow() {
    const size_t newest = std::min<size_t>(rows_.size(), 60);
    return random_() % 3 == 0 ? random_() % rows_.size() : rows_.size() - 1 - random_() % newest;
  }

  base::Result<ViewAnswer> Ask(size_t view, size_t row, const OwnRow& own) {
    const auto pin = views_.PinNewest();
    const Event& event = rows_[row];
    return views_.Get(*pin, view, KeyOf(pipeline_->views[view], event.key, event.region), {now_},
                      own);
  }
  ViewAnswer Naive(size_t view, size_t row, const std::vector<Event>& rows) const {
    const Event& event = rows_[row];
    return NaiveAnswer(pipeline_->views[view], FeaturesOf(view), rows, event.key, event.region,
                       now_);
  }
  std::vector<Event> AllBut(size_t row) const {
    std::vector<Event> rows = rows_;
    rows.erase(rows.begin() + static_cast<ptrdiff_t>(row));
    return rows;
  }
  void Feed(BatchDriver& driver) const {
    for (const log::EpochRef& epoch : epochs_) {
      const columns::ColumnBatch* rows = epoch->RowsOf(kStream);
      if (rows == nullptr) continue;
      std::vector<columns::Position> positions;
      for (uint32_t i = 0; i < rows->rows(); ++i)
        positions.push_back(columns::Position::Of(epoch->id, i));
      driver.Add(*rows, positions, std::vector<int64_t>(rows->rows(), 0));
    }
    driver.Prepare();
  }

  std::vector<columns::Position> positions_;
  size_t noted_ = 0;
};

TEST(LeftOut, ViewsAnswerAsIfTheRowHadNeverCome) {
  size_t checked = 0;
  size_t too_old = 0;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    Pushed pushed(seed, 1 + seed % 3, SelfRule::kExcluded);
    for (int step = 0; step < 40; ++step) {
      pushed.Step(seed % 2 == 0 ? 60 : 12);
      pushed.NotePositions();
      if (pushed.rows_.empty()) continue;
      for (size_t view = 0; view < pushed.pipeline_->views.size(); ++view) {
        const size_t row = pushed.RandomRow();
        SCOPED_TRACE("seed " + std::to_string(seed) + " step " + std::to_string(step) + " row " +
                     std::to_string(row) + " view " + pushed.pipeline_->views[view].name);
        const auto answer = pushed.Ask(view, row, pushed.OwnOf(row));
        if (!answer) {
          ASSERT_EQ(answer.error().code(), base::ErrorCode::kFailedPrecondition);
          ++too_old;
          continue;
        }
        const ViewAnswer naive = pushed.Naive(view, row, pushed.AllBut(row));
        ASSERT_EQ(Difference(pushed.pipeline_->views[view], *answer, naive), "");
        ++checked;
      }
    }
  }
  EXPECT_GT(checked, 1'000U);
  EXPECT_GT(too_old, 0U);
}

TEST(LeftOut, ALongKeyHasItInItsTree) {
  Pushed pushed(11, 1, SelfRule::kExcluded);
  for (int step = 0; step < 30; ++step) pushed.Step(150);
  pushed.NotePositions();
  size_t checked = 0;
  for (size_t view = 0; view < pushed.pipeline_->views.size(); ++view)
    for (size_t back = 1 + view % 7; back < pushed.rows_.size() / 2; back += 397) {
      const size_t row = pushed.rows_.size() - back;
      const auto answer = pushed.Ask(view, row, pushed.OwnOf(row));
      if (!answer) continue;
      ASSERT_EQ(Difference(pushed.pipeline_->views[view], *answer,
                           pushed.Naive(view, row, pushed.AllBut(row))),
                "")
          << pushed.pipeline_->views[view].name << " " << back;
      ++checked;
    }
  EXPECT_GT(checked, 50U);
}

TEST(LeftOut, TheBatchDriverLeavesOutTheSame) {
  Pushed pushed(5, 2, SelfRule::kExcluded);
  for (int step = 0; step < 30; ++step) pushed.Step(30);
  pushed.NotePositions();
  size_t checked = 0;
  for (size_t view = 0; view < pushed.pipeline_->views.size(); ++view) {
    const ViewDefinition& definition = pushed.pipeline_->views[view];
    BatchDriver driver(definition, pushed.pipeline_->streams[0], std::nullopt);
    pushed.Feed(driver);
    for (int i = 0; i < 25; ++i) {
      const size_t row = pushed.RandomRow();
      OwnRow own = pushed.OwnOf(row);
      if (i % 3 == 0) own.row = std::nullopt;
      const auto answer = pushed.Ask(view, row, own);
      if (!answer) continue;
      Cut cut;
      cut.without_row = LeftOutOf(*pushed.pipeline_, definition, own);
      const Event& event = pushed.rows_[row];
      ViewAnswer batch = driver.Answer(
          {KeyOf(definition, event.key, event.region), {pushed.now_}, std::move(cut)});
      ASSERT_EQ(Difference(definition, batch, *answer), "") << definition.name << " row " << row;
      ++checked;
    }
  }
  EXPECT_GT(checked, 100U);
}

TEST(LeftOut, ViewsThatCountTheRowDoNotLookForIt) {
  for (const SelfRule self : {SelfRule::kIncluded, SelfRule::kAsAsked}) {
    Pushed pushed(3, 2, self);
    for (int step = 0; step < 10; ++step) pushed.Step(20);
    pushed.NotePositions();
    for (size_t view = 0; view < pushed.pipeline_->views.size(); ++view) {
      const size_t row = pushed.RandomRow();
      const auto answer = pushed.Ask(view, row, pushed.OwnOf(row));
      ASSERT_TRUE(answer.has_value());
      ASSERT_EQ(
          Difference(pushed.pipeline_->views[view], *answer, pushed.Naive(view, row, pushed.rows_)),
          "");
    }
  }
}

TEST(LeftOut, ARowOfAnotherStreamIsNotLookedFor) {
  Pushed pushed(3, 2, SelfRule::kExcluded);
  for (int step = 0; step < 10; ++step) pushed.Step(20);
  pushed.NotePositions();
  const size_t row = pushed.rows_.size() - 1;
  OwnRow own = pushed.OwnOf(row);
  own.stream = "another";
  const auto answer = pushed.Ask(0, row, own);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(Difference(pushed.pipeline_->views[0], *answer, pushed.Naive(0, row, pushed.rows_)),
            "");
}

// Two events of one key, time and epoch, of which nobody knows the number any more.
TEST(LeftOut, WhatCannotBeToldFromAnotherIsInvalid) {
  Pushed pushed(1, 1, SelfRule::kExcluded);
  Event event = RandomEvent(pushed.random_, 1);
  event.at = pushed.now_;
  std::vector<Event> two = {event, event};
  const auto epoch = ToEpoch(pushed.pipeline_->streams[0].schema(), 1, pushed.now_, two);
  pushed.views_.Apply({&epoch, 1});
  pushed.rows_ = two;
  OwnRow own{pushed.pipeline_->streams[0].name, {1}, {event.at}, 1};
  const auto told = pushed.Ask(0, 0, own);
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(Difference(pushed.pipeline_->views[0], *told, pushed.Naive(0, 0, {event})), "");
  own.row = std::nullopt;
  const auto answer = pushed.Ask(0, 0, own);
  ASSERT_TRUE(answer.has_value());
  for (const FeatureStatus status : answer->statuses) EXPECT_EQ(status, FeatureStatus::kInvalid);
}

}  // namespace
}  // namespace headrace::pipeline
