#include "log/log_clock.h"

#include <gtest/gtest.h>

#include "base/log.h"

namespace headrace::log {
namespace {

using base::Timestamp;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

class LogClockTest : public testing::Test {
 protected:
  void SetUp() override {
    base::SetLogSink(
        [this](const base::LogLine& line) { steps_ += line.event == "log.clock_step" ? 1 : 0; });
  }
  void TearDown() override { base::SetLogSink({}); }
  // Both clocks go on.
  Timestamp Tick(LogClock& clock, base::Duration by) {
    mono_ += by;
    wall_ = wall_ + by;
    return clock.Read(mono_, wall_);
  }
  env::MonotonicTime mono_{seconds(5)};
  Timestamp wall_{1'000'000'000'000};
  int steps_ = 0;
};

TEST_F(LogClockTest, FollowsTheWallWhenBothRun) {
  LogClock clock(Timestamp::Min(), mono_, wall_);
  EXPECT_EQ(Tick(clock, seconds(10)), wall_);
  EXPECT_EQ(steps_, 0);
}

TEST_F(LogClockTest, LeansTowardsTheWallAndNeverGoesBack) {
  LogClock clock(Timestamp::Min(), mono_, wall_);
  wall_ = wall_ - seconds(2);
  Timestamp last = clock.Read(mono_, wall_);
  for (int i = 0; i < 3'000; ++i) {
    const Timestamp now = Tick(clock, seconds(1));
    EXPECT_GT(now, last);
    last = now;
  }
  EXPECT_LE(last - wall_, milliseconds(1));
  EXPECT_EQ(steps_, 0);
}

TEST_F(LogClockTest, LeansAsFastHoweverOftenItIsRead) {
  for (const base::Duration wall_off : {base::Duration(seconds(2)), base::Duration(-seconds(2))}) {
    LogClock clock(Timestamp::Min(), mono_, wall_);
    wall_ = wall_ + wall_off;
    Timestamp now;
    for (int i = 0; i < 10'000; ++i) now = Tick(clock, std::chrono::microseconds(100));
    EXPECT_EQ(wall_ - now, wall_off / 2'000 * 1'999) << "a second has passed";
  }
}

TEST_F(LogClockTest, AStepIsReportedOnceAndNotFollowed) {
  for (const base::Duration step : {base::Duration(hours(1)), base::Duration(-hours(24))}) {
    steps_ = 0;
    LogClock clock(Timestamp::Min(), mono_, wall_);
    const Timestamp before = Tick(clock, seconds(1));
    wall_ = wall_ + step;
    EXPECT_EQ(Tick(clock, seconds(1)) - before, seconds(1));
    EXPECT_EQ(Tick(clock, seconds(5)) - before, seconds(6));
    EXPECT_EQ(steps_, 1);
    EXPECT_EQ(clock.steps().steps, 1U);
    EXPECT_EQ(clock.steps().last, step);
    EXPECT_EQ(clock.steps().behind_wall, step);
    wall_ = wall_ - step;  // mended: the next step is news again
    Tick(clock, seconds(1));
    wall_ = wall_ + step;
    Tick(clock, seconds(1));
    EXPECT_EQ(steps_, 2);
  }
}

TEST_F(LogClockTest, DoesNotGoBackAcrossARestart) {
  const Timestamp floor = wall_ + hours(2);  // the wall was set back while we were away
  LogClock clock(floor, mono_, wall_);
  EXPECT_EQ(Tick(clock, seconds(3)) - floor, seconds(3));
  EXPECT_EQ(steps_, 1);
}

TEST_F(LogClockTest, ReadsOftenWithoutLosingTime) {
  LogClock clock(wall_ + hours(1), mono_, wall_);  // far from the wall: no slew
  const Timestamp begin = clock.Read(mono_, wall_);
  Timestamp now = begin;
  for (int i = 0; i < 10'000; ++i) {
    mono_ += std::chrono::nanoseconds(300);
    now = clock.Read(mono_, wall_);
  }
  EXPECT_EQ(now - begin, milliseconds(3));
}

}  // namespace
}  // namespace headrace::log
