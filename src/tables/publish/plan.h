#pragma once
// A publish plan: "the rows of epochs (after, last] of this stream go into the table as one
// version". It is in the log before its first file is written, and the files' names follow from it,
// so that a crash is followed by the same files and the same commit.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "log/epoch.h"
#include "tables/data_file_names.h"

namespace headrace::tables {

// A plan as the log has it.
struct LoggedPlan : PublishPlan {
  // Its first row stands in a later epoch: those up to here may have left the log before it is
  // carried out.
  base::EpochId rows_after;
};

// The control entry of a plan: kPublishPlan, name `table`, payload {u8 2, u32 stream, u64 after,
// u64 last, u64 rows after}. One of version 1 ends at `last`, and its rows stand after `after`.
log::ControlEntry EncodePlan(const LoggedPlan& plan, const std::string& table);
// The same with an empty payload: only there so that an epoch is sealed, which tells when those
// before it became visible.
log::ControlEntry SealingEntry(const std::string& table);
// Nothing for other entries and for sealing ones. Errors: kCorruption.
base::Result<std::optional<LoggedPlan>> DecodePlan(const log::ControlEntry& entry);

// What a marker in the table means, given the last plan in the log.
enum class Standing : uint8_t {
  kFresh,          // nothing was planned, nothing is in the table
  kCommitted,      // the last plan is in the table
  kPlanned,        // it is not: carry it out
  kLogRestored,    // the table is ahead of the log
  kTableRestored,  // the table lacks what was committed before the last plan
  kForeign,        // the table has markers of other logs and none of this one
};
Standing Compare(const std::optional<LoggedPlan>& last_plan, std::optional<base::EpochId> marker,
                 bool other_logs);

}  // namespace headrace::tables
