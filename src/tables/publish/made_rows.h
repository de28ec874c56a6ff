#pragma once
// Rows of a stream whose rows depend on others (joins, dedupe), on their way into its table.
//
// They are made once, by whoever applies the log, and wait here until the table has them: a plan's
// rows are those of its epochs, whatever was made or replayed since. They are a function of the log
// up to their epoch. A replay makes them again; on top of a snapshot it makes none of the epochs
// that the snapshot has, so the snapshot has those that wait.

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/memory_budget.h"
#include "base/result.h"
#include "columns/batch.h"
#include "columns/batch_codec.h"
#include "columns/schema.h"

namespace headrace::tables {

// Any thread. What waits is charged to the budget, which has no limit of its own for it: past it
// new events are refused, until the table takes rows again.
class MadeRows {
 public:
  // `budget` outlives it. `schema`: of the rows.
  MadeRows(columns::SchemaRef schema, base::MemoryBudget& budget);
  ~MadeRows();
  MadeRows(const MadeRows&) = delete;

  struct OfEpoch {
    columns::ColumnBatch rows;
    std::vector<int64_t> known_at;  // empty: with their epoch
  };
  // Every epoch in its order, those without rows too. Those up to through() are passed over: a
  // snapshot has them.
  void Add(base::EpochId epoch, OfEpoch made);
  // The last epoch that was added.
  base::EpochId through() const;
  // Nothing for an epoch without rows.
  std::optional<OfEpoch> Of(base::EpochId epoch) const;
  // As they are now, charged by themselves: for a reader, to whom they stay when the table has
  // them.
  std::unique_ptr<MadeRows> Copy() const;
  // The table has them.
  void DropThrough(base::EpochId epoch);
  // A table that does not have everything up to there was restored from an older copy: nobody makes
  // those rows again.
  base::EpochId dropped_through() const;

  // u64 through, u32 epochs, per epoch {u64 epoch, u32 known at, i64 each, u64 size, a batch}, u64
  // dropped through.
  void Encode(columns::ByteWriter& out) const;
  // Into an empty one. Errors: kCorruption.
  base::Result<void> Decode(columns::ByteReader& in);

 private:
  void Charge(int64_t bytes);

  const columns::SchemaRef schema_;
  const columns::SchemaRef
      numbered_;  // the same with its fields' numbers as ids: as they are encoded
  base::MemoryBudget& budget_;
  mutable std::mutex mutex_;  // guards from here
  base::EpochId through_;
  base::EpochId dropped_through_;
  std::map<base::EpochId, OfEpoch> epochs_;
  int64_t charged_bytes_ = 0;
};

}  // namespace headrace::tables
