#pragma once
// The rows of one stream in the log, with the time at which each became known.

#include <cstdint>
#include <functional>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "columns/batch.h"
#include "log/epoch.h"
#include "log/reader.h"
#include "tables/table_rows.h"

namespace headrace::tables {

// What to do with live rows whose epoch's visible time no later epoch tells yet.
enum class UnknownTime : uint8_t {
  kRefuse,  // kUnavailable: a table may not guess
  kNever,   // known at Timestamp::Max(): no cut by time sees them
};

// Rows of one epoch, of the schema that the stream had then.
struct EpochRows {
  base::EpochId epoch;
  columns::ColumnBatch rows;
  std::vector<int64_t> known_at;
  base::Timestamp sealed_at;  // of the epoch
};

// Calls `visit` for each epoch of (after, last] that has rows of the stream, in order. A row of
// epoch e is known from the first `visible_at` of a later epoch whose `visible_through` is at least
// e, so for live streams epochs after `last` are read too. Errors: kUnavailable when the log does
// not reach `last` (or a time that is needed) yet; those of the log and of `visit`.
base::Result<void> ScanStreamRows(log::LogReader& log, const PublishedStream& stream,
                                  base::EpochId after, base::EpochId last, UnknownTime unknown,
                                  const std::function<base::Result<void>(EpochRows)>& visit);

// Whether the log keeps a stream's rows until its table has them.
enum class LogKeeps : uint8_t { kUntilPublished, kAsLongAsItDoes };

// After which epoch the log has the rows that a table with that marker lacks (0: nothing of this
// log is in it, or there is none). Later than the marker where the log has let epochs go that had
// no rows of the stream: the plan that begins at the marker tells where they stand.
// Errors: kFailedPrecondition when rows may be in neither any more; those of the log.
base::Result<base::EpochId> LogGoesOnAfter(log::LogReader& log, const PublishedStream& stream,
                                           base::EpochId marker, LogKeeps keeps);

}  // namespace headrace::tables
