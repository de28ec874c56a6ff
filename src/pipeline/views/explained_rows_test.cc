// Rows that are said to be behind an answer give it, bit for bit: every kind of aggregate and of
// window, beside late rows and eviction, for the epoch that is answered now and for earlier ones.

#include "pipeline/views/explained_rows.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "pipeline/views/replay_fixture.h"

namespace headrace::pipeline {
namespace {

using namespace fixture;  // NOLINT: the test is written in the fixture's words

constexpr size_t kRowsMax = 100'000;

OutputValue OutputOf(const ViewAnswer& answer, size_t output) {
  return {answer.values[output], answer.statuses[output], answer.event_time};
}

std::string Text(const OutputValue& value) {
  return value.value.ToJson() + " " + std::string(NameOf(value.status));
}

// All rows of the log, as table and tail have them.
KeyRows RowsOfLog(const Replay& replay, const ViewDefinition& view, const columns::KeyBytes& key) {
  KeyRowsBuilder builder(view, replay.pipeline_->streams[view.stream], key);
  for (const log::EpochRef& epoch : replay.epochs_) {
    const columns::ColumnBatch* rows = epoch->RowsOf(kStream);
    if (rows == nullptr) continue;
    std::vector<columns::Position> positions;
    for (size_t row = 0; row < rows->rows(); ++row)
      positions.push_back(columns::Position::Of(epoch->id, row));
    builder.Add(*rows, positions, std::vector<int64_t>(rows->rows(), 0));
  }
  return builder.Finish();
}

struct Seen {
  uint64_t from_state = 0;
  uint64_t from_log = 0;
  uint64_t earlier_from_state = 0;
  std::array<uint64_t, kRowVerdicts> verdicts{};
};

// One answered question.
struct Served {
  Replay::Question question;
  base::EpochId epoch;
  ViewAnswer answer;
};

// Each output explained from some rows, held to what was served.
void CheckRows(const Replay& replay, const Served& served, const KeyRows& rows, Seen& seen) {
  const ViewDefinition& view = replay.pipeline_->views[served.question.view];
  const StreamDefinition& stream = replay.pipeline_->streams[view.stream];
  const RowQuestion question{.as_of = served.question.as_of, .epoch = served.epoch};
  for (size_t output = 0; output < view.outputs.size(); ++output) {
    const ExplainedRows explained = ExplainRows(view, output, rows, question);
    const OutputValue recomputed = RecomputeFrom(view, stream, output, rows, explained, question);
    const OutputValue expected = OutputOf(served.answer, output);
    ASSERT_TRUE(recomputed.SameBits(expected))
        << view.name << "." << view.outputs[output].name << " as of " << question.as_of.us
        << " epoch " << question.epoch.value << ": " << Text(recomputed) << ", served "
        << Text(expected);
    ASSERT_EQ(recomputed.event_time, expected.event_time) << view.name;
    for (size_t i = 0; i < kRowVerdicts; ++i) seen.verdicts[i] += explained.counts[i];
  }
  const ViewAnswer all = AnswerFrom(view, stream, rows, question);
  ASSERT_EQ(Difference(view, all, served.answer), "") << view.name;
}

void Check(Replay& replay, const Served& served, Seen& seen) {
  const ViewDefinition& view = replay.pipeline_->views[served.question.view];
  const auto key = KeyOf(view, served.question.key, served.question.region);
  const auto pin = replay.views_.PinNewest();
  const auto kept = replay.views_.RowsOf(*pin, served.question.view, key, kRowsMax);
  ASSERT_TRUE(kept) << kept.error().ToString();
  const RowQuestion question{.as_of = served.question.as_of, .epoch = served.epoch};
  const bool now = served.epoch == pin->epoch();
  if (IsEnough(view, {}, *kept, question, now ? CopyIsOf::kThatEpoch : CopyIsOf::kLaterEpoch)) {
    ++(now ? seen.from_state : seen.earlier_from_state);
    CheckRows(replay, served, *kept, seen);
    if (testing::Test::HasFatalFailure()) return;
  }
  ++seen.from_log;
  CheckRows(replay, served, RowsOfLog(replay, view, key), seen);
}

TEST(ExplainedRows, GiveWhatWasServed) {
  const char* one = std::getenv("HEADRACE_SEED");
  const uint64_t first =
      one == nullptr ? std::random_device{}() % 1'000'000 : std::strtoull(one, nullptr, 10);
  Seen seen;
  for (uint64_t seed = first; seed < first + 6; ++seed) {
    SCOPED_TRACE("HEADRACE_SEED=" + std::to_string(seed) +
                 " headrace_pipeline_test --gtest_filter=ExplainedRows.*");
    Replay replay(seed, 1 + seed % 4);
    std::vector<Served> served;
    for (int step = 0; step < 60; ++step) {
      replay.Step(seed % 2 == 0 ? 20 : 120);
      if (step % 10 == 9) replay.now_ += static_cast<int64_t>(seed % 7) * 20 * kSecond;
      for (int i = 0; i < 6; ++i) {
        const auto question = replay.RandomQuestion();
        const auto pin = replay.views_.PinNewest();
        const ViewDefinition& view = replay.pipeline_->views[question.view];
        const auto answer = replay.views_.Get(
            *pin, question.view, KeyOf(view, question.key, question.region), question.as_of);
        ASSERT_TRUE(answer) << answer.error().ToString();
        served.push_back({question, pin->epoch(), *answer});
      }
      Check(replay, served.back(), seen);
      Check(replay, served[replay.random_() % served.size()], seen);
      ASSERT_FALSE(HasFatalFailure());
    }
  }
  EXPECT_GT(seen.from_state, 100U);
  EXPECT_GT(seen.earlier_from_state, 20U);
  for (const RowVerdict verdict :
       {RowVerdict::kCounts, RowVerdict::kNull, RowVerdict::kConditionFalse,
        RowVerdict::kBeforeWindow, RowVerdict::kNotAmongLast, RowVerdict::kOtherSession,
        RowVerdict::kAfterAsOf, RowVerdict::kNotThereYet, RowVerdict::kNotOfView})
    EXPECT_GT(seen.verdicts[static_cast<size_t>(verdict)], 0U) << NameOf(verdict);
}

}  // namespace
}  // namespace headrace::pipeline
