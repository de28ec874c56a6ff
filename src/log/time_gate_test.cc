#include "log/time_gate.h"

#include <gtest/gtest.h>

#include <random>

#include "log/log_fixture.h"

namespace headrace::log {
namespace {

using base::Timestamp;
constexpr int64_t kDay = 86'400;
const base::StreamId kStream{1};
const ClockReading kNow{{1'000 * 1'000'000LL}, {50'000 * kDay * 1'000'000}};

// 'a' accepted, 'l' late, 'h' ahead; one letter a row.
std::string Judge(TimeGate& gate, const std::vector<int64_t>& seconds) {
  std::vector<TestRow> rows;
  for (const int64_t s : seconds) rows.push_back({s, 0});
  const auto verdicts = gate.Judge(kStream, TestTiming(), RowsOf(rows).column(0), kNow);
  std::string letters;
  for (size_t i = 0; i < seconds.size(); ++i) {
    const Verdict verdict = verdicts.empty() ? Verdict::kAccept : verdicts[i];
    letters += verdict == Verdict::kAccept ? 'a' : verdict == Verdict::kLate ? 'l' : 'h';
  }
  return letters;
}

TEST(TimeGate, LateIsMeasuredAgainstTheNewestSoFar) {
  TimeGate gate(ClockMode::kEvents);
  EXPECT_EQ(Judge(gate, {1000, 940, 939, 1100, 1039, 1040}), "aalala");
  EXPECT_EQ(gate.newest().us, 1100 * 1'000'000);
  EXPECT_EQ(Judge(gate, {1040, 1039}), "al");
}

// The same letters, of rows that were refused before.
std::string JudgeReplay(TimeGate& gate, const std::vector<int64_t>& seconds,
                        columns::Replay::LateRows late = columns::Replay::LateRows::kComeIn) {
  std::vector<TestRow> rows;
  for (const int64_t s : seconds) rows.push_back({s, 0});
  std::string letters;
  for (const Verdict verdict :
       gate.JudgeReplay(kStream, TestTiming(), RowsOf(rows).column(0), late, kNow))
    letters += verdict == Verdict::kAccept ? 'a' : verdict == Verdict::kLate ? 'l' : 'h';
  return letters;
}

TEST(TimeGate, OfAReplayLateRowsComeIn) {
  TimeGate gate(ClockMode::kEvents);
  ASSERT_EQ(Judge(gate, {1000}), "a");
  EXPECT_EQ(JudgeReplay(gate, {1, 1100, 2}), "aaa");
  EXPECT_EQ(gate.newest().us, 1100 * 1'000'000);
  EXPECT_EQ(JudgeReplay(gate, {1, 1100, 2}, columns::Replay::LateRows::kStay), "lal");
}

TEST(TimeGate, OfAReplayRowsAheadOfTheLogClockStay) {
  TimeGate gate(ClockMode::kWall);
  const int64_t limit = 1'000 + kDay;
  EXPECT_EQ(JudgeReplay(gate, {limit, limit + 1, 5}), "aha");
  EXPECT_EQ(JudgeReplay(gate, {limit - 61, limit}, columns::Replay::LateRows::kStay), "la");
}

TEST(TimeGate, AReplayDoesNotClimbAJump) {
  TimeGate gate(ClockMode::kEvents);
  ASSERT_EQ(Judge(gate, {1000}), "a");
  EXPECT_EQ(JudgeReplay(gate, {1000 + kDay, 1000 + 2 * kDay, 1000 + 3 * kDay}), "ahh");
}

TEST(TimeGate, WhatIsSentAgainConfirmsNoJump) {
  TimeGate gate(ClockMode::kEvents);
  ASSERT_EQ(JudgeReplay(gate, {1000}), "h") << "the clock begins with a row that is new";
  ASSERT_EQ(Judge(gate, {1000}), "a");
  for (int i = 0; i < 5; ++i) ASSERT_EQ(JudgeReplay(gate, {900 * kDay, 900 * kDay + 1}), "hh");
  EXPECT_EQ(Judge(gate, {900 * kDay}), "h") << "none of them counts";
}

TEST(TimeGate, UnderTheWallAheadOfTheLogClockIsRefused) {
  TimeGate gate(ClockMode::kWall);
  const int64_t limit = 1'000 + kDay;
  EXPECT_EQ(Judge(gate, {limit, limit + 1}), "ah");
}

TEST(TimeGate, OneBadYearDoesNotMakeTheOthersLate) {
  TimeGate gate(ClockMode::kEvents);
  EXPECT_EQ(Judge(gate, {1000, 1001, 900 * kDay, 1002, 1003}), "aahaa");
  EXPECT_EQ(gate.newest().us, 1003 * 1'000'000);
}

TEST(TimeGate, ABadFirstRowDoesNotMakeTheOthersLate) {
  TimeGate gate(ClockMode::kEvents);
  EXPECT_EQ(Judge(gate, {900 * kDay, 1002, 1003}), "haa");
}

TEST(TimeGate, AJumpCountsOnceTheRowsAfterItConfirmIt) {
  TimeGate gate(ClockMode::kEvents);
  ASSERT_EQ(Judge(gate, {1000}), "a");
  EXPECT_EQ(Judge(gate, {3 * kDay, 3 * kDay + 1, 3 * kDay + 5}), "aaa");
  EXPECT_EQ(Judge(gate, {1000}), "l");
}

TEST(TimeGate, AJumpAtTheEndOfABatchNeedsTwoMoreBatches) {
  TimeGate gate(ClockMode::kEvents);
  ASSERT_EQ(Judge(gate, {1000}), "a");
  EXPECT_EQ(Judge(gate, {3 * kDay}), "h");
  EXPECT_EQ(Judge(gate, {3 * kDay + 1}), "h");
  EXPECT_EQ(Judge(gate, {3 * kDay + 2}), "a");
  // An ordinary row between jumps begins the count anew.
  EXPECT_EQ(Judge(gate, {6 * kDay}), "h");
  EXPECT_EQ(Judge(gate, {6 * kDay + 1}), "h");
  EXPECT_EQ(Judge(gate, {3 * kDay + 3}), "a");
  EXPECT_EQ(Judge(gate, {6 * kDay + 2}), "h");
}

TEST(TimeGate, NothingPassesTheWallClock) {
  TimeGate gate(ClockMode::kEvents);
  const int64_t future = 50'001 * kDay;
  EXPECT_EQ(Judge(gate, {future, future, future}), "hhh");
  EXPECT_EQ(Judge(gate, {1000}), "a");
}

// Row by row with no short cut: what the fast path must agree with.
std::string JudgeSlowly(TimeGate& gate, const std::vector<int64_t>& seconds) {
  std::string letters;
  for (const int64_t s : seconds) letters += Judge(gate, {s});
  return letters;
}

TEST(TimeGate, TheFastPathDecidesAsRowsOneByOneDo) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    TimeGate fast(ClockMode::kWall);
    TimeGate slow(ClockMode::kWall);
    int64_t at = 0;
    for (int batch = 0; batch < 20; ++batch) {
      std::vector<int64_t> seconds;
      for (uint64_t i = random() % 8 + 1; i > 0; --i)
        seconds.push_back(at += static_cast<int64_t>(random() % (seed % 3 == 0 ? 80 : 30)) - 20);
      EXPECT_EQ(Judge(fast, seconds), JudgeSlowly(slow, seconds));
      EXPECT_EQ(fast.newest(kStream), slow.newest(kStream));
    }
  }
}

TEST(TimeGate, ARowWithoutATimeIsRefused) {
  columns::ColumnBuilder builder(columns::Type::kTimestamp);
  builder.AppendInt(5);
  builder.AppendNull();
  TimeGate gate(ClockMode::kEvents);
  const auto verdicts = gate.Judge(kStream, TestTiming(), builder.Finish(), kNow);
  EXPECT_EQ(verdicts, (std::vector{Verdict::kAccept, Verdict::kNoTime}));
}

}  // namespace
}  // namespace headrace::log
