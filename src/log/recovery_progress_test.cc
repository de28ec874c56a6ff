#include "log/recovery_progress.h"

#include <gtest/gtest.h>

namespace headrace::log {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class HandClock final : public env::Clock {
 public:
  env::MonotonicTime Now() const override { return now; }
  base::Timestamp Wall() const override { return {}; }
  env::MonotonicTime now{0};
};

TEST(RecoveryProgress, TellsRateAndTimeLeft) {
  HandClock clock;
  RecoveryProgress progress(clock);
  clock.now += milliseconds(50);
  progress.Begin(RecoveryPhase::kLog, 1000);
  EXPECT_FALSE(progress.figures().left);
  clock.now += seconds(2);
  progress.Note(200, 40);
  const RecoveryFigures figures = progress.figures();
  EXPECT_EQ(figures.phase, RecoveryPhase::kLog);
  EXPECT_EQ(figures.bytes_done, 200U);
  EXPECT_EQ(figures.bytes_total, 1000U);
  EXPECT_DOUBLE_EQ(figures.bytes_per_second, 100);
  EXPECT_DOUBLE_EQ(figures.rows_per_second, 20);
  ASSERT_TRUE(figures.left);
  EXPECT_EQ(*figures.left, seconds(8));
  EXPECT_EQ(figures.elapsed, milliseconds(2050));
}

TEST(RecoveryProgress, EachPhaseHasItsOwnBytesAndRate) {
  HandClock clock;
  RecoveryProgress progress(clock);
  progress.Begin(RecoveryPhase::kSnapshot, 100);
  clock.now += seconds(1);
  progress.Note(100, 500);
  progress.Begin(RecoveryPhase::kLog, 50);
  clock.now += seconds(1);
  progress.Note(10, 7);
  const RecoveryFigures figures = progress.figures();
  EXPECT_EQ(figures.bytes_done, 10U);
  EXPECT_EQ(figures.rows, 507U);
  EXPECT_DOUBLE_EQ(figures.rows_per_second, 7);
  EXPECT_EQ(*figures.left, seconds(4));
}

TEST(RecoveryProgress, ATotalThatWasTooSmallIsNoNegativeTime) {
  HandClock clock;
  RecoveryProgress progress(clock);
  progress.Begin(RecoveryPhase::kLog, 100);
  clock.now += seconds(1);
  progress.Note(150, 1);
  EXPECT_EQ(progress.figures().bytes_total, 150U);
  EXPECT_EQ(*progress.figures().left, seconds(0));
}

TEST(RecoveryProgress, ReadyStopsTheClock) {
  HandClock clock;
  RecoveryProgress progress(clock);
  progress.Begin(RecoveryPhase::kLog, 100);
  clock.now += seconds(1);
  progress.Begin(RecoveryPhase::kReady, 0);
  clock.now += seconds(100);
  EXPECT_EQ(progress.figures().elapsed, seconds(1));
  EXPECT_FALSE(progress.figures().left);
}

TEST(RecoveryProgress, CancelEndsTheStart) {
  HandClock clock;
  RecoveryProgress progress(clock);
  EXPECT_TRUE(progress.Check());
  progress.Cancel();
  ASSERT_FALSE(progress.Check());
  EXPECT_EQ(progress.Check().error().code(), base::ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace headrace::log
