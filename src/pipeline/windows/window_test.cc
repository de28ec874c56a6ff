#include "pipeline/windows/window.h"

#include <gtest/gtest.h>

#include <random>

namespace headrace::pipeline {
namespace {

using base::Timestamp;

Timestamp At(std::string_view text) { return *base::ParseTimestamp(text); }

Window Tumbling(std::string_view length, std::string_view zone, Window::Kind kind) {
  Window window(*base::ParseDuration(length));
  window.kind = kind;
  window.zone = zone.empty() ? nullptr : base::TimeZone::Named(zone);
  window.zone_name = zone;
  return window;
}

// "first instant .. last instant" that is inside.
std::string Shown(const Window& window, std::string_view as_of) {
  const WindowBounds bounds = BoundsOf(window, At(as_of));
  return base::FormatTimestamp({bounds.after + 1}) + " .. " + base::FormatTimestamp({bounds.until});
}

TEST(Window, SlidingEndsWithTheQuestion) {
  Window hour(std::chrono::hours(1));
  EXPECT_EQ(Shown(hour, "2026-01-01T10:00:00Z"),
            "2026-01-01T09:00:00.000001Z .. 2026-01-01T10:00:00Z");
  hour.ending = std::chrono::hours(24);
  EXPECT_EQ(Shown(hour, "2026-01-01T10:00:00Z"),
            "2025-12-31T09:00:00.000001Z .. 2025-12-31T10:00:00Z");
}

TEST(Window, TumblingBeginsAtMultiples) {
  using enum Window::Kind;
  EXPECT_EQ(Shown(Tumbling("1h", "", kTumbling), "2026-01-01T10:20:00Z"),
            "2026-01-01T10:00:00Z .. 2026-01-01T10:20:00Z");
  EXPECT_EQ(Shown(Tumbling("1h", "", kTumbling), "2026-01-01T10:00:00Z"),
            "2026-01-01T10:00:00Z .. 2026-01-01T10:00:00Z")
      << "the first instant is inside";
  EXPECT_EQ(Shown(Tumbling("1h", "", kPreviousTumbling), "2026-01-01T10:20:00Z"),
            "2026-01-01T09:00:00Z .. 2026-01-01T09:59:59.999999Z");
  EXPECT_EQ(Shown(Tumbling("7d", "", kTumbling), "2026-01-01T10:20:00Z"),
            "2025-12-29T00:00:00Z .. 2026-01-01T10:20:00Z")
      << "a Monday";
  EXPECT_EQ(Shown(Tumbling("1d", "", kPreviousTumbling), "1969-12-31T23:00:00Z"),
            "1969-12-30T00:00:00Z .. 1969-12-30T23:59:59.999999Z");
}

TEST(Window, DaysBeginAtMidnightsOfTheZone) {
  using enum Window::Kind;
  EXPECT_EQ(Shown(Tumbling("1d", "Europe/Berlin", kTumbling), "2026-03-29T21:30:00Z"),
            "2026-03-28T23:00:00Z .. 2026-03-29T21:30:00Z");
  // 23 hours: the clock was put forward.
  EXPECT_EQ(Shown(Tumbling("1d", "Europe/Berlin", kPreviousTumbling), "2026-03-29T22:00:00Z"),
            "2026-03-28T23:00:00Z .. 2026-03-29T21:59:59.999999Z");
  // 25 hours.
  EXPECT_EQ(Shown(Tumbling("1d", "Europe/Berlin", kPreviousTumbling), "2026-10-26T12:00:00Z"),
            "2026-10-24T22:00:00Z .. 2026-10-25T22:59:59.999999Z");
  EXPECT_EQ(Shown(Tumbling("7d", "America/New_York", kTumbling), "2026-11-02T04:59:59Z"),
            "2026-10-26T04:00:00Z .. 2026-11-02T04:59:59Z")
      << "still Sunday there";
}

TEST(Window, AMidnightThatIsShownTwiceBeginsTheDayTheFirstTime) {
  using enum Window::Kind;
  // In Havana the clock goes from 1:00 back to 0:00.
  const Window day = Tumbling("1d", "America/Havana", kTumbling);
  EXPECT_EQ(Shown(day, "2026-11-01T04:30:00Z"), "2026-11-01T04:00:00Z .. 2026-11-01T04:30:00Z");
  EXPECT_EQ(Shown(day, "2026-11-01T05:30:00Z"), "2026-11-01T04:00:00Z .. 2026-11-01T05:30:00Z");
  // And in spring there is no midnight.
  EXPECT_EQ(Shown(day, "2026-03-08T05:30:00Z"), "2026-03-08T05:00:00Z .. 2026-03-08T05:30:00Z");
}

// Toronto's clocks went from 23:30 to 0:30.
TEST(Window, AMidnightThatIsNeverShownBeginsTheDayWhenItWasPassed) {
  using enum Window::Kind;
  EXPECT_EQ(Shown(Tumbling("1d", "America/Toronto", kTumbling), "1919-03-31T04:40:00Z"),
            "1919-03-31T04:30:00Z .. 1919-03-31T04:40:00Z");
  EXPECT_EQ(Shown(Tumbling("1d", "America/Toronto", kPreviousTumbling), "1919-03-31T05:10:00Z"),
            "1919-03-30T05:00:00Z .. 1919-03-31T04:29:59.999999Z");
}

TEST(Window, HoppingIsTheLastWholeOne) {
  Window window(std::chrono::hours(1));
  window.kind = Window::Kind::kHopping;
  window.step = std::chrono::minutes(5);
  EXPECT_EQ(Shown(window, "2026-01-01T10:04:59Z"),
            "2026-01-01T09:00:00Z .. 2026-01-01T09:59:59.999999Z");
  EXPECT_EQ(Shown(window, "2026-01-01T10:05:00Z"),
            "2026-01-01T09:05:00Z .. 2026-01-01T10:04:59.999999Z");
}

// What is kept of a key's rows goes by it.
TEST(Window, NoneReachesFurtherThanItSays) {
  std::mt19937_64 random(7);
  const std::vector<std::string> zones = {
      "", "Europe/Berlin", "America/Havana", "Pacific/Apia", "Asia/Kathmandu", "America/Sao_Paulo"};
  for (int i = 0; i < 200'000; ++i) {
    Window window(std::chrono::microseconds(1 + random() % 1'000'000'000'000));
    window.kind = static_cast<Window::Kind>(random() % 7);
    if (random() % 2 == 0) window.length = std::chrono::hours(24 * (1 + random() % 30));
    window.step = std::chrono::microseconds(1 + random() % 10'000'000'000);
    window.ending = std::chrono::microseconds(random() % 3 * 777'777'777);
    const std::string& zone = zones[random() % zones.size()];
    if (!zone.empty()) window.zone = base::TimeZone::Named(zone);
    // 1900 to 2100
    const Timestamp as_of{static_cast<int64_t>(random() % 6'300'000'000'000'000) -
                          2'200'000'000'000'000};
    const WindowBounds bounds = BoundsOf(window, as_of);
    if (window.is_time_span()) {
      ASSERT_GE(bounds.after, (as_of - ReachOf(window)).us) << TextOf(window) << " " << as_of.us;
    }
    ASSERT_LE(bounds.until, as_of.us);
    ASSERT_LE(bounds.after, bounds.until) << TextOf(window) << " " << as_of.us << " in " << zone;
  }
}

}  // namespace
}  // namespace headrace::pipeline
