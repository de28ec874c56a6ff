#include "base/zones/time_zone.h"

#include <gtest/gtest.h>

#include "base/time.h"

namespace headrace::base {
namespace {

int64_t Seconds(std::string_view text) { return ParseTimestamp(text)->us / 1'000'000; }

int32_t OffsetAt(std::string_view zone, std::string_view utc) {
  return TimeZone::Named(zone)->PeriodAt(Seconds(utc)).offset;
}

TEST(TimeZone, OffsetsOfKnownMoments) {
  EXPECT_EQ(OffsetAt("UTC", "2001-01-01"), 0);
  EXPECT_EQ(OffsetAt("Europe/Berlin", "2001-01-01"), 3600);
  EXPECT_EQ(OffsetAt("Europe/Berlin", "2001-03-25T00:59:59Z"), 3600);
  EXPECT_EQ(OffsetAt("Europe/Berlin", "2001-03-25T01:00:00Z"), 7200);
  EXPECT_EQ(OffsetAt("Europe/Berlin", "1945-06-01"), 3 * 3600) << "double summer time";
  EXPECT_EQ(OffsetAt("America/New_York", "2001-07-01"), -4 * 3600);
  EXPECT_EQ(OffsetAt("Asia/Kathmandu", "2001-07-01"), 5 * 3600 + 45 * 60);
  EXPECT_EQ(OffsetAt("Pacific/Apia", "2011-12-29"), -10 * 3600);
  EXPECT_EQ(OffsetAt("Pacific/Apia", "2011-12-31"), 14 * 3600) << "it crossed the date line";
}

// After the table's last transition the rule of the footer holds, for ever.
TEST(TimeZone, RulesHoldInTheFarFuture) {
  EXPECT_EQ(OffsetAt("Europe/Berlin", "2500-01-15"), 3600);
  EXPECT_EQ(OffsetAt("Europe/Berlin", "2500-07-15"), 7200);
  EXPECT_EQ(OffsetAt("Europe/Berlin", "2500-03-28T00:59:59Z"), 3600) << "the last Sunday in March";
  EXPECT_EQ(OffsetAt("Europe/Berlin", "2500-03-28T01:00:00Z"), 7200);
  EXPECT_EQ(OffsetAt("Australia/Sydney", "2500-01-15"), 11 * 3600) << "summer is in January";
  EXPECT_EQ(OffsetAt("Europe/Dublin", "2500-07-15"), 3600);
  EXPECT_EQ(OffsetAt("Asia/Tokyo", "2500-07-15"), 9 * 3600);
}

TEST(TimeZone, PeriodsMeet) {
  for (const std::string& name : TimeZone::Names()) {
    const TimeZone& zone = *TimeZone::Named(name);
    TimeZone::Period period = zone.PeriodAt(Seconds("1850-01-01"));
    for (int i = 0; i < 600 && period.end < Seconds("2100-01-01"); ++i) {
      const TimeZone::Period next = zone.PeriodAt(period.end);
      ASSERT_EQ(next.begin, period.end) << name << " " << period.end;
      ASSERT_GT(next.end, next.begin) << name;
      period = next;
    }
    ASSERT_GE(period.end, Seconds("2100-01-01")) << name;
  }
}

TEST(TimeZone, ClocksThatAreShownTwiceOrNever) {
  const TimeZone& berlin = *TimeZone::Named("Europe/Berlin");
  EXPECT_EQ(berlin.InstantOf(Seconds("2001-10-28T02:30:00Z")), Seconds("2001-10-28T01:30:00Z"))
      << "the later one";
  EXPECT_EQ(berlin.InstantOf(Seconds("2001-03-25T02:30:00Z")), Seconds("2001-03-25T01:30:00Z"))
      << "as if the clock had not been put forward";
  EXPECT_EQ(berlin.InstantOf(Seconds("2001-07-01T12:00:00Z")), Seconds("2001-07-01T10:00:00Z"));
}

// What a clock shows leads back to an instant at which it shows just that.
TEST(TimeZone, WallClocksLeadBack) {
  for (const std::string& name : TimeZone::Names()) {
    const TimeZone& zone = *TimeZone::Named(name);
    for (int64_t utc = Seconds("1900-01-01"); utc < Seconds("2080-01-01"); utc += 3'456'789) {
      const int64_t wall = utc + zone.PeriodAt(utc).offset;
      const int64_t back = zone.InstantOf(wall);
      ASSERT_EQ(back + zone.PeriodAt(back).offset, wall) << name << " " << utc;
      ASSERT_GE(back, utc) << name;
    }
  }
}

TEST(TimeZone, UnknownNamesAreNone) {
  EXPECT_EQ(TimeZone::Named("Europe/Berln"), nullptr);
  EXPECT_EQ(TimeZone::Named(""), nullptr);
  EXPECT_FALSE(TimeZone::Version().empty());
}

}  // namespace
}  // namespace headrace::base
