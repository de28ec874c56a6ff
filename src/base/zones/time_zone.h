#pragma once
// Time zones of one version of the IANA database, compiled into the binary: results do not change
// with the machine's own.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::base {

struct ZoneRecord;

// Immutable, lives as long as the process; any thread.
class TimeZone {
 public:
  // A span of time with one offset, in seconds since 1970 UTC.
  struct Period {
    int64_t begin = 0;
    int64_t end = 0;     // not included
    int32_t offset = 0;  // seconds east of UTC
    bool Holds(int64_t utc) const { return utc >= begin && utc < end; }
  };

  // "Europe/Berlin", "UTC"; case matters. Null when there is none.
  static const TimeZone* Named(std::string_view name);
  static std::vector<std::string> Names();
  // Of the database: "2026f".
  static std::string_view Version();

  Period PeriodAt(int64_t utc) const;

  // The instant at which the zone's clocks show `wall` (seconds since 1970 on the clock's face).
  // Shown twice: the later one. Never shown, since the clock was put forward: as if it had not
  // been.
  int64_t InstantOf(int64_t wall) const;

 private:
  friend struct AllZones;
  explicit TimeZone(const ZoneRecord& record) : record_(&record) {}
  Period AfterTable(int64_t utc, int64_t table_end) const;

  const ZoneRecord* record_;
};

}  // namespace headrace::base
