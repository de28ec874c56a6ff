#pragma once
// Removes data files that no version within the retention names.
//
// A file stays when the newest version has it; when a version that is younger than the retention
// had it (its removal is younger); when it is itself younger than the retention (somebody may be
// about to commit it); when a plan that is not in the table yet is about to; when a version had it
// that somebody in this process may be reading; and when it is no Parquet file, or its name begins
// with `_` or a dot.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "env/background_gate.h"
#include "env/environment.h"

namespace headrace::tables {

struct VacuumRequest {
  // Nothing: as the table says (delta.deletedFileRetentionDuration), or 7 days. That is the floor,
  // too: less is refused unless it is waived.
  std::optional<base::Duration> retain;
  enum class Floor : uint8_t { kHeld, kWaived } floor = Floor::kHeld;
  enum class Run : uint8_t { kReal, kDry } run = Run::kReal;
  // When the oldest of the table's readers in this process began (ReadPins), asked when the vacuum
  // begins; may be empty.
  std::function<std::optional<base::Timestamp>()> read_since = {};
};

struct VacuumReport {
  struct File {
    std::string name;
    uint64_t bytes = 0;
    base::Timestamp modified_at;
  };
  base::Duration retain{0};  // as it was taken
  uint64_t files = 0;        // that went, or would
  uint64_t bytes = 0;
  std::vector<File> listed;  // of them, by name
  uint64_t kept_young = 0;   // that no version names, or an older one only, within the retention
};

// Names in a report at most.
inline constexpr size_t kVacuumListedMax = 10'000;
inline constexpr base::Duration kVacuumRetention = std::chrono::hours(7 * 24);

// `is_planned`: files of plans that were under way at `now`. A plan of later makes younger files,
// however long ago that is when the vacuum begins. Errors: kFailedPrecondition for a retention
// under the floor, and for one that goes further back than the log tells of removals, where a file
// hangs on it: nothing is removed then; kUnsupported for a table with features that say more about
// files than we know; those of the log and the disk.
base::Result<VacuumReport> VacuumTable(env::Environment& environment, const std::string& folder,
                                       const VacuumRequest& request,
                                       const std::function<bool(std::string_view)>& is_planned,
                                       base::Timestamp now, env::BackgroundPass& pass);

}  // namespace headrace::tables
