#pragma once
// The time-zone database as tools/pack_time_zones.py writes it into the build folder, from the one
// version that tools/requirements.txt pins.

#include <cstdint>
#include <span>
#include <string_view>

namespace headrace::base {

// When a rule changes the offset: in the week-th `weekday` (0 is Sunday; week 5 is the last) of a
// month, so many seconds after its midnight by the offset before.
struct ZoneChange {
  int8_t month = 0;  // 0: there is none
  int8_t week = 0;
  int8_t weekday = 0;
  int32_t seconds = 0;
};

struct ZoneRecord {
  uint32_t first;  // of its transitions in the table
  uint32_t count;
  int32_t first_offset;  // before all of them, in seconds east
  int32_t standard;      // after them, by the rule
  int32_t summer;
  ZoneChange to_summer;
  ZoneChange to_standard;
};

struct ZoneName {
  std::string_view name;
  uint32_t zone;
};

struct ZoneTable {
  std::string_view version;        // "2026f"
  std::span<const int64_t> times;  // transitions in seconds since 1970, ascending in a zone
  std::span<const int32_t> offsets;
  std::span<const ZoneRecord> zones;
  std::span<const ZoneName> names;  // ascending
};

const ZoneTable& TheZoneTable();

}  // namespace headrace::base
