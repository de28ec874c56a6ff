#include "base/time.h"

#include <random>

#include <gtest/gtest.h>

namespace headrace::base {
namespace {

TEST(Duration, ReadsWhatPeopleWrite) {
  EXPECT_EQ(ParseDuration("90s"), Duration(90'000'000));
  EXPECT_EQ(ParseDuration("1h30m"), Duration(5'400'000'000));
  EXPECT_EQ(ParseDuration("250ms"), Duration(250'000));
  EXPECT_EQ(ParseDuration("2w"), Duration(14LL * 86'400'000'000));
}

TEST(Duration, RefusesTheRest) {
  for (const char* text : {"", "5", "h", "-1h", "1y", "1.5h", "1h ", "99999999999999w"})
    EXPECT_FALSE(ParseDuration(text).has_value()) << text;
}

TEST(Duration, FormatReadsBack) {
  for (const char* text : {"0s", "15us", "250ms", "1500ms", "59s", "1m30s", "1h30m", "7d", "7d10m",
                           "400d1h2m3s4ms5us"})
    EXPECT_EQ(FormatDuration(*ParseDuration(text)), text);
}

TEST(Duration, FormatTakesTheLargestUnits) {
  EXPECT_EQ(FormatDuration(std::chrono::minutes(10'090)), "7d10m");
  EXPECT_EQ(FormatDuration(std::chrono::hours(36)), "1d12h");
  EXPECT_EQ(FormatDuration(std::chrono::minutes(60)), "1h");
  EXPECT_EQ(FormatDuration(Duration(61'500'000)), "1m1s500ms");
  EXPECT_EQ(FormatDuration(std::chrono::seconds(-90)), "-1m30s");
  EXPECT_EQ(FormatDuration(Duration::min()), "-106751991d4h54s775ms808us");
}

TEST(Timestamp, ReadsRfc3339) {
  EXPECT_EQ(ParseTimestamp("1970-01-01T00:00:00Z")->us, 0);
  EXPECT_EQ(ParseTimestamp("2001-01-01T00:01:00Z")->us, 978'307'260'000'000);
  EXPECT_EQ(ParseTimestamp("2001-01-01T02:01:00+02:00")->us, 978'307'260'000'000);
  EXPECT_EQ(ParseTimestamp("2001-01-01 00:01")->us, 978'307'260'000'000);
  EXPECT_EQ(ParseTimestamp("2001-01-01")->us, 978'307'200'000'000);
  EXPECT_EQ(ParseTimestamp("1969-12-31T23:59:59.999999Z")->us, -1);
}

TEST(Timestamp, RefusesWhatIsNoTime) {
  for (const char* text : {"", "2001", "2001-13-01", "2001-02-29", "2001-01-01T24:00:00Z",
                           "2001-01-01T00:00:00.1234567Z", "2001-01-01T00:00:00Zjunk",
                           "2001-01-01T00:00:00+25:00", "01-01-2001", "2001-01-01T09:15.5Z"})
    EXPECT_FALSE(ParseTimestamp(text).has_value()) << text;
}

TEST(Timestamp, FormatReadsBackForRandomTimes) {
  constexpr uint64_t kSeed = 20010101;
  std::mt19937_64 random(kSeed);
  std::uniform_int_distribution<int64_t> times(-62'000'000'000'000'000, 253'000'000'000'000'000);
  for (int i = 0; i < 20'000; ++i) {
    const Timestamp t{times(random)};
    ASSERT_EQ(ParseTimestamp(FormatTimestamp(t)), t)
        << "seed " << kSeed << " " << FormatTimestamp(t);
  }
}

TEST(Timestamp, SaturatesInsteadOfWrapping) {
  EXPECT_EQ(Timestamp::Max() + Duration(1), Timestamp::Max());
  EXPECT_EQ(Timestamp::Min() - Duration(1), Timestamp::Min());
}

}  // namespace
}  // namespace headrace::base
