#pragma once
// What the durable epochs of a log tell the publisher of one stream: which rows wait for the table,
// the newest plans, the stream's schemas. A snapshot has it, so that a start need not read the log
// from its beginning.

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "columns/schema.h"
#include "log/epoch.h"
#include "tables/maintenance/rewrite_plan.h"
#include "tables/publish/pending_rows.h"
#include "tables/publish/plan.h"
#include "tables/table_rows.h"

namespace headrace::tables {

// Any thread.
class NotedEpochs {
 public:
  // Of one stream that are remembered; then the oldest goes.
  static constexpr size_t kSchemasMax = 256;

  // `stream` outlives it.
  explicit NotedEpochs(const PublishedStream& stream) : stream_(stream) {}

  // Every durable epoch, in order; one that a capture has is passed over. Errors: kCorruption for a
  // broken plan.
  base::Result<void> Note(const log::Epoch& epoch);
  // The schema before the first epoch that is noted, unless one is known.
  void NoteSchema(columns::SchemaRef schema);
  // The table has everything up to `epoch`.
  void DropThrough(base::EpochId epoch);
  // The rewrite plan of that epoch, or an earlier one, is done or given up.
  void SettleRewrite(base::EpochId epoch);

  struct Pending {
    base::EpochId durable;
    uint64_t rows = 0;
    base::Timestamp oldest;  // when the first of them was sealed; of no rows nothing
    base::EpochId first;     // likewise its epoch
  };
  Pending pending() const;
  // The newest plans that are durable; a rewrite plan only until it is settled.
  std::optional<LoggedPlan> logged_plan() const;
  std::optional<RewritePlan> logged_rewrite() const;
  // In the order of the log; at least one.
  std::vector<columns::SchemaRef> KnownSchemas() const;
  // That rows of that epoch have in the log.
  columns::SchemaRef SchemaAt(base::EpochId epoch) const;
  // What comes after `committed`, about `rows_max` rows. Nothing when no row is pending. An empty
  // range when rows are, but when they became visible is not in the log yet.
  std::optional<LoggedPlan> NextPlan(base::EpochId committed, uint64_t rows_max) const;
  // The table has had everything up to there: one that has less now was restored from an older
  // copy.
  base::EpochId dropped_through() const;

  // u64 epoch, u64 known through, u8 (1: has plan, 2: has rewrite plan, 4: has schemas, 8:
  // the plan is not in the table yet, 16: it has `rows after`), plan {u64 after, u64 last, u64 rows
  // after},
  // rewrite plan {u64 epoch, u32 size, payload}, schemas {u32 count, each u64 epoch, schema},
  // pending rows. The epoch.
  base::EpochId Encode(columns::ByteWriter& out) const;
  // Into an empty one. Errors: kCorruption.
  base::Result<void> Decode(columns::ByteReader& in);

 private:
  static constexpr uint8_t kHasPlan = 1;
  static constexpr uint8_t kHasRewrite = 2;
  static constexpr uint8_t kHasSchemas = 4;
  static constexpr uint8_t kPlanIsOpen = 8;
  static constexpr uint8_t kHasRowsAfter = 16;

  uint64_t RowsOf(const log::Epoch& epoch) const;
  void DropThroughLocked(base::EpochId epoch);

  const PublishedStream& stream_;
  mutable std::mutex mutex_;  // guards from here
  base::EpochId durable_;
  base::EpochId known_through_;  // the log tells when epochs up to here became visible
  PendingRows pending_;
  base::EpochId dropped_through_;  // rows of later epochs are all among them
  std::optional<LoggedPlan> logged_plan_;
  std::optional<RewritePlan> logged_rewrite_;
  // Of the stream, by the epoch that brought each (0: one before those that were noted).
  std::map<base::EpochId, columns::SchemaRef> schemas_;
};

}  // namespace headrace::tables
