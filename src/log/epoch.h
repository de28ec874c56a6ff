#pragma once
// An epoch: the unit of durability, of visibility and of exactly-once. On disk whole, or it never
// happened.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "columns/batch.h"
#include "columns/event_batch.h"

namespace headrace::log {

// The accepted rows of one stream. Row i has position (epoch, i).
struct StreamRows {
  base::StreamId stream;
  columns::ColumnBatch rows;
};

struct StreamRejects {
  base::StreamId stream;
  std::vector<columns::RejectedRow> rows;
};

// Of a batch of which nothing came in, and of one that was logged before outcomes said it.
inline constexpr uint32_t kRowUnknown = ~0U;

// What a request was answered: kept so that a repeat gets the same answer, across restarts too.
struct SourceOutcome {
  base::StreamId stream;
  columns::BatchSource source;
  uint32_t accepted = 0;
  std::vector<uint32_t> rejects;  // indexes into this epoch's StreamRejects of `stream`
  // Of the accepted rows, which are `accepted` ones from here on in this epoch's rows of `stream`.
  uint32_t first_row = kRowUnknown;
};

// What everything derived must see in order beside rows. kSourcePosition is named by its stream.
struct ControlEntry {
  enum class Kind : uint8_t {
    kDefinition = 1,  // name: definition id; payload: the pipeline file and its contracts
    kStream = 2,  // name: stream; payload: log::StreamEntry (u32 stream id, columns::EncodeSchema,
                  // u32 event time field id)
    kPublishPlan = 3,  // name: table; payload: tables' own bytes
    kHeartbeat = 4,    // name: stream; payload empty: the source is alive and had nothing
    kRewritePlan = 5,  // name: table; payload: tables' own bytes
    kSourcePosition = 7,
    kReplay = 8,  // name: stream; payload: EncodeReplay: dead letters that are rows of this epoch
  };
  Kind kind;
  std::string name;
  std::vector<uint8_t> payload;
};

struct Epoch {
  base::EpochId id;
  base::Timestamp
      clock;  // the log clock when it was sealed: the "now" of everything derived from it
  // Wall time at sealing, without the wall clock's steps; for people, and by it idempotency keys
  // age.
  base::Timestamp sealed_at;
  // When epoch id-1 became visible (wall); Min() when it was not yet visible at sealing (load), or
  // for the first after a start.
  base::Timestamp previous_visible;
  // The newest epoch known to be visible at sealing and when it became so; 0 and Min() when none is
  // known. A row of epoch e is known from the first `visible_at` whose `visible_through` is at
  // least e.
  base::EpochId visible_through;
  base::Timestamp visible_at = base::Timestamp::Min();
  std::vector<StreamRows> streams;  // ascending stream id, at most one a stream
  std::vector<StreamRejects> rejects;
  std::vector<SourceOutcome> outcomes;
  std::vector<ControlEntry> controls;

  // Nothing when the epoch has no rows of that stream.
  const columns::ColumnBatch* RowsOf(base::StreamId stream) const {
    for (const StreamRows& rows : streams)
      if (rows.stream == stream) return &rows.rows;
    return nullptr;
  }
  // Of the rows of all streams.
  uint64_t row_count() const {
    uint64_t count = 0;
    for (const StreamRows& of_stream : streams) count += of_stream.rows.rows();
    return count;
  }
  uint64_t row_bytes() const {
    uint64_t bytes = 0;
    for (const StreamRows& of_stream : streams) bytes += of_stream.rows.ByteSize();
    return bytes;
  }
};

using EpochRef = std::shared_ptr<const Epoch>;

}  // namespace headrace::log
