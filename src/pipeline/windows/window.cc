#include "pipeline/windows/window.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "pipeline/expressions/calendar.h"

namespace headrace::pipeline {
namespace {

constexpr int64_t kEver = std::numeric_limits<int64_t>::min();
// Times beyond are taken as these: 146,000 years, and no arithmetic here leaves 64 bits.
constexpr int64_t kLimit = int64_t{1} << 62;
constexpr int64_t kMonday = 4;  // 1970-01-05: windows of 7 days are weeks
constexpr base::Duration kDay{kDayUs};
// What a day of a zone may be longer than 24 hours, with a zone that crossed the date line.
constexpr base::Duration kDaySlack = std::chrono::hours(25);

bool IsWholeDays(base::Duration length) { return length % kDay == base::Duration(0); }

// The first instant of a day, counted from 1970-01-01 on the zone's calendar.
int64_t StartOfDay(const base::TimeZone& zone, int64_t day) {
  const int64_t midnight = day * (kDayUs / kSecondUs);
  int64_t instant = zone.InstantOf(midnight);
  // A midnight that was never shown: the day began when the clock was put past it.
  if (const auto period = zone.PeriodAt(instant); instant + period.offset > midnight)
    instant = period.begin;
  // A midnight that was shown twice began the day when it was shown first.
  const int64_t earlier = midnight - zone.PeriodAt(instant - 1).offset;
  const bool twice = earlier < instant && earlier + zone.PeriodAt(earlier).offset == midnight;
  return (twice ? earlier : instant) * kSecondUs;
}

// The start of the tumbling window `back` before the one that `t` is in.
int64_t StartOf(const Window& window, int64_t t, int64_t back) {
  const int64_t length = window.length.count();
  if (!IsWholeDays(window.length)) return (FloorDivide(t, length) - back) * length;
  const int64_t days = length / kDayUs;
  const int64_t second = FloorDivide(t, kSecondUs);
  const int64_t shown =
      window.zone == nullptr ? second : second + window.zone->PeriodAt(second).offset;
  const int64_t day = FloorDivide(shown, kDayUs / kSecondUs);
  const int64_t start = kMonday + (FloorDivide(day - kMonday, days) - back) * days;
  return window.zone == nullptr ? start * kDayUs : StartOfDay(*window.zone, start);
}

// The instant before the first multiple of the precision after `time`.
int64_t TileEdge(int64_t time, base::Duration precision) {
  return (FloorDivide(time, precision.count()) + 1) * precision.count() - 1;
}

}  // namespace

WindowBounds BoundsOf(const Window& window, base::Timestamp as_of) {
  const base::Timestamp end = as_of - window.ending;
  const int64_t t = std::clamp(end.us, -kLimit, kLimit);
  switch (window.kind) {
    case Window::Kind::kSliding:
      if (window.precision.count() != 0)
        return {TileEdge((base::Timestamp{t} - window.length).us, window.precision), end.us};
      return {(end - window.length).us, end.us};
    case Window::Kind::kSession:
    case Window::Kind::kLastSession: return {(end - window.length).us, end.us};
    case Window::Kind::kLastRows: return {kEver, end.us};
    case Window::Kind::kTumbling: return {StartOf(window, t, 0) - 1, end.us};
    case Window::Kind::kPreviousTumbling:
      return {StartOf(window, t, 1) - 1, StartOf(window, t, 0) - 1};
    case Window::Kind::kHopping: {
      const int64_t last = FloorDivide(t, window.step.count()) * window.step.count();
      return {last - window.length.count() - 1, last - 1};
    }
  }
  return {kEver, end.us};
}

base::Duration ReachOf(const Window& window) {
  const base::Duration slack = window.zone == nullptr ? base::Duration(0) : kDaySlack;
  switch (window.kind) {
    case Window::Kind::kSliding:
    case Window::Kind::kSession:
    case Window::Kind::kLastSession: return window.ending + window.length;
    case Window::Kind::kLastRows: return window.ending;
    // One more microsecond: their first instant is inside.
    case Window::Kind::kTumbling: return window.ending + window.length + slack + base::Duration(1);
    case Window::Kind::kPreviousTumbling:
      return window.ending + 2 * window.length + slack + base::Duration(1);
    case Window::Kind::kHopping:
      return window.ending + window.length + window.step + base::Duration(1);
  }
  return window.ending;
}

std::string TextOf(const Window& window) {
  const std::string length = base::FormatDuration(window.length);
  std::string text;
  switch (window.kind) {
    case Window::Kind::kSliding: text = length; break;
    case Window::Kind::kLastRows: text = fmt::format("last {} rows", window.rows); break;
    case Window::Kind::kTumbling: text = fmt::format("this {}", length); break;
    case Window::Kind::kPreviousTumbling: text = fmt::format("previous {}", length); break;
    case Window::Kind::kHopping:
      text = fmt::format("{} every {}", length, base::FormatDuration(window.step));
      break;
    case Window::Kind::kSession:
    case Window::Kind::kLastSession:
      text = fmt::format("{} session {} within {}",
                         window.kind == Window::Kind::kSession ? "this" : "last",
                         base::FormatDuration(window.step), length);
      break;
  }
  if (window.precision.count() != 0)
    text += fmt::format(" precision {}", base::FormatDuration(window.precision));
  if (window.zone != nullptr) text += " in " + window.zone_name;
  if (window.ending.count() != 0)
    text += fmt::format(" ending {} ago", base::FormatDuration(window.ending));
  return text;
}

}  // namespace headrace::pipeline
