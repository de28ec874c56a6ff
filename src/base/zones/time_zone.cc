#include "base/zones/time_zone.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/time.h"
#include "base/zones/zone_table.h"

namespace headrace::base {
namespace {

constexpr int64_t kFirst = std::numeric_limits<int64_t>::min();
constexpr int64_t kLast = std::numeric_limits<int64_t>::max();
constexpr int64_t kDaySeconds = 86'400;

// The instant of a change in a year, by the offset that holds before it.
int64_t InstantOf(const ZoneChange& change, int year, int32_t offset_before) {
  const int64_t first = DaysFromCivil(year, static_cast<unsigned>(change.month), 1);
  // 1970-01-01 was a Thursday.
  const int64_t weekday = ((first + 4) % 7 + 7) % 7;
  int64_t day = first + (change.weekday - weekday + 7) % 7 + 7 * (change.week - 1);
  const int64_t next = change.month == 12
                           ? DaysFromCivil(year + 1, 1, 1)
                           : DaysFromCivil(year, static_cast<unsigned>(change.month) + 1, 1);
  while (day >= next) day -= 7;
  return day * kDaySeconds + change.seconds - offset_before;
}

int YearOf(int64_t utc) {
  const int64_t days = utc / kDaySeconds - (utc % kDaySeconds < 0 ? 1 : 0);
  return CivilFromDays(days).year;
}

}  // namespace

struct AllZones {
  AllZones() {
    for (const ZoneRecord& record : TheZoneTable().zones) zones.push_back(TimeZone(record));
  }
  std::vector<TimeZone> zones;
};

const TimeZone* TimeZone::Named(std::string_view name) {
  static const AllZones kAll;
  const std::span<const ZoneName> names = TheZoneTable().names;
  const auto found = std::lower_bound(
      names.begin(), names.end(), name,
      [](const ZoneName& row, std::string_view wanted) { return row.name < wanted; });
  return found == names.end() || found->name != name ? nullptr : &kAll.zones[found->zone];
}

std::vector<std::string> TimeZone::Names() {
  std::vector<std::string> names;
  for (const ZoneName& row : TheZoneTable().names) names.emplace_back(row.name);
  return names;
}

std::string_view TimeZone::Version() { return TheZoneTable().version; }

TimeZone::Period TimeZone::PeriodAt(int64_t utc) const {
  const auto times = TheZoneTable().times.subspan(record_->first, record_->count);
  const auto offsets = TheZoneTable().offsets.subspan(record_->first, record_->count);
  const auto next = std::upper_bound(times.begin(), times.end(), utc);
  const auto at = static_cast<size_t>(next - times.begin());
  if (at == times.size()) return AfterTable(utc, times.empty() ? kFirst : times.back());
  const int32_t offset = at == 0 ? record_->first_offset : offsets[at - 1];
  return {at == 0 ? kFirst : times[at - 1], times[at], offset};
}

// By the rule: the changes of the years around say which of the two offsets holds.
TimeZone::Period TimeZone::AfterTable(int64_t utc, int64_t table_end) const {
  if (record_->to_summer.month == 0) return {table_end, kLast, record_->standard};
  const int year = YearOf(std::clamp<int64_t>(utc, -(1LL << 43), 1LL << 43));
  struct Event {
    int64_t at;
    int32_t offset;
  };
  std::array<Event, 6> events{};
  for (int i = 0; i < 3; ++i) {
    events[2 * i] = {base::InstantOf(record_->to_summer, year - 1 + i, record_->standard),
                     record_->summer};
    events[2 * i + 1] = {base::InstantOf(record_->to_standard, year - 1 + i, record_->summer),
                         record_->standard};
  }
  std::sort(events.begin(), events.end(),
            [](const Event& a, const Event& b) { return a.at < b.at; });
  size_t next = 0;
  while (next < events.size() && events[next].at <= utc) ++next;
  if (next == 0) return {table_end, events[0].at, events[1].offset};
  if (next == events.size()) return {events.back().at, kLast, events.back().offset};
  return {std::max(events[next - 1].at, table_end), events[next].at, events[next - 1].offset};
}

int64_t TimeZone::InstantOf(int64_t wall) const {
  constexpr int64_t kOffsetMax = 26 * 3600;
  if (wall > kLast - 2 * kOffsetMax || wall < kFirst + 2 * kOffsetMax) return wall;
  Period before = PeriodAt(wall - kOffsetMax);
  int64_t best = wall - before.offset;
  while (before.end <= wall + kOffsetMax) {
    const Period after = PeriodAt(before.end);
    const bool skipped = wall >= before.end + before.offset && wall < before.end + after.offset;
    if (skipped) return wall - before.offset;
    if (wall >= after.begin + after.offset) best = wall - after.offset;
    before = after;
  }
  return best;
}

}  // namespace headrace::base
