#pragma once
// The derived streams of a pipeline, epoch by epoch: rows of the streams that came in become rows
// of those that are made of them. A row of a derived stream is in the epoch of the row that it is
// made of.

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/memory_budget.h"
#include "base/result.h"
#include "columns/batch_codec.h"
#include "pipeline/definition.h"
#include "pipeline/streams/as_of_table.h"

namespace headrace::pipeline {

// What became of the rows; a function of the log.
struct DerivedCounts {
  DerivationCounts rows;
  AsOfCounts as_of;
};

// The versions of a dimension that are kept.
struct AsOfFigures {
  uint64_t keys = 0, versions = 0, bytes = 0;
};

struct DerivedStreamStatus {
  std::string name;
  std::string from;
  DerivedCounts counts;
  std::vector<std::string> expressions;  // those of counts.rows.failed
  std::string dimension;                 // empty without a join
  AsOfFigures table;
};

// One thread applies and restores; status from any thread. Encode only while nothing is applied.
class DerivedStreams {
 public:
  // Both outlive it.
  DerivedStreams(const PipelineDefinition& definition, base::MemoryBudget& budget);
  ~DerivedStreams();
  DerivedStreams(const DerivedStreams&) = delete;

  bool empty() const { return streams_.empty(); }
  // `batches[i]` are the epoch's rows of stream i, of its schema, for the streams that come in;
  // sets those of derived streams. Of epochs that a capture has there are none: whatever is made of
  // them was captured later, and has them.
  void Apply(base::EpochId epoch, std::span<columns::ColumnBatch> batches);
  // Tells the budget what was learnt and forgotten since the last time.
  void SettleCharges();

  std::vector<DerivedStreamStatus> status() const;
  // Of the versions of dimensions; any thread.
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

  // What is captured, in parts; each is of the epoch that was applied last when it was encoded.
  struct Cursor {
    size_t stream = 0;
    size_t key = 0;
  };
  // Appends the next part, of about `bytes`. False, and nothing appended, after the last, which has
  // the counts.
  bool Encode(Cursor& cursor, size_t bytes, std::vector<uint8_t>& out) const;
  // Into a new one, in the order of the parts. Errors: kCorruption.
  base::Result<void> Restore(columns::ByteReader& in, base::EpochId epoch);

 private:
  struct Stream {
    size_t index = 0;      // into the definition's streams
    std::string identity;  // name and DerivationText: what was captured of another is not taken
    DerivedCounts counts;
    std::unique_ptr<AsOfTable> table;  // null without a join
    AsOfFigures figures;
  };
  // The rows of the epoch at hand, beside `batches`.
  struct Moment {
    std::vector<columns::Position> positions;
    std::vector<int64_t> known_at;  // empty when it is observed
  };
  DerivedRows Joined(Stream& stream, std::span<const columns::ColumnBatch> batches,
                     AsOfCounts& counts);
  AsOfTable::Rows RowsOf(size_t stream, std::span<const columns::ColumnBatch> batches) const;
  void NoteMoment(size_t stream, base::EpochId epoch, const columns::ColumnBatch& rows);
  void EncodeCounts(const Stream& stream, columns::ByteWriter& out) const;
  base::Result<void> RestoreCounts(columns::ByteReader& in);
  Stream* Identified(std::string_view identity);

  const PipelineDefinition& definition_;
  base::MemoryBudget& budget_;
  bool joins_ = false;
  std::vector<Moment> moments_;  // by stream; only where there are joins
  mutable std::mutex mutex_;     // guards counts and figures, which only the applier changes
  std::vector<Stream> streams_;
  base::EpochId captured_through_;
  std::atomic<uint64_t> bytes_{0};
  uint64_t charged_bytes_ = 0;
};

// The rows of `stream`, which is made without joins, that are made of these of its root
// (PipelineDefinition::RootOf). Counts nothing.
DerivedRows DeriveFromRoot(const PipelineDefinition& definition, size_t stream,
                           const columns::ColumnBatch& root_rows);

// A text for each derived stream that says all that its rows depend on: state of views over another
// text is not used again. Empty for a stream that comes in.
std::string DerivationText(const PipelineDefinition& definition, size_t stream);

}  // namespace headrace::pipeline
