#pragma once
// The derived streams of a pipeline, epoch by epoch: rows of the streams that came in become rows
// of those that are made of them. A row of a derived stream is in the epoch of the row that it is
// made of.

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/memory_budget.h"
#include "base/result.h"
#include "columns/batch_codec.h"
#include "env/clock.h"
#include "pipeline/definition.h"
#include "pipeline/streams/as_of_table.h"
#include "pipeline/streams/first_rows.h"
#include "pipeline/streams/hot_keys.h"
#include "pipeline/streams/interval_table.h"

namespace headrace::pipeline {

// What became of the rows; a function of the log.
struct DerivedCounts {
  DerivationCounts rows;
  AsOfCounts as_of;
  IntervalCounts interval;
  DedupeCounts dedupe;
};

// What a join keeps: versions of a dimension's keys, or rows that wait for their partners.
struct JoinFigures {
  uint64_t keys = 0;  // of a dimension
  uint64_t rows = 0;
  uint64_t bytes = 0;
};

struct DerivedStreamStatus {
  std::string name;
  std::string from;
  DerivedCounts counts;
  std::vector<std::string> expressions;  // those of counts.rows.failed
  enum class Join : uint8_t { kNone, kAsOf, kInterval } join = Join::kNone;
  std::string joined;  // the other stream
  JoinFigures kept;
  bool unnests = false;
  bool dedupes = false;
  JoinFigures remembered;  // of what it leaves repeats of out
  // Now, by the fields of the rows that come in: the events of a join, the rows that are joined to
  // them within a time, those among which repeats are looked for.
  std::vector<HotKey> hot_keys, other_hot_keys, dedupe_hot_keys;
};

// One thread applies and restores; status from any thread. Encode only while nothing is applied.
class DerivedStreams {
 public:
  // All outlive it. Without a clock no hot keys are looked for.
  DerivedStreams(const PipelineDefinition& definition, base::MemoryBudget& budget,
                 const env::Clock* clock = nullptr);
  ~DerivedStreams();
  DerivedStreams(const DerivedStreams&) = delete;

  bool empty() const { return streams_.empty(); }
  // `batches[i]` are the epoch's rows of stream i, of its schema, for the streams that come in;
  // sets those of derived streams. Of epochs that a capture has there are none: whatever is made of
  // them was captured later, and has them. Rows of joins and lists are charged to the budget, those
  // of lists before they are made, until the next epoch or SettleCharges: they can't be refused any
  // more, but while they are more than it holds, what comes in is.
  void Apply(base::EpochId epoch, std::span<columns::ColumnBatch> batches);
  // When the rows of a stream became known that remembers rows, or is made of such a one; of the
  // epoch applied last. Empty when it is observed.
  std::span<const int64_t> KnownAtOf(size_t stream) const { return moments_[stream].known_at; }
  // Of the rows of the epoch applied last: those of the rows that they are made of; their own
  // numbers in the epoch where several rows may be made of one.
  std::span<const columns::Position> PositionsOf(size_t stream) const {
    return moments_[stream].positions;
  }
  // Tells the budget what was learnt and forgotten since the last time.
  void SettleCharges();

  std::vector<DerivedStreamStatus> status() const;
  // Of what joins keep; any thread.
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

  // What is captured, in parts; each is of the epoch that was applied last when it was encoded.
  struct Cursor {
    size_t stream = 0;
    size_t next = 0;   // key of a dimension, part of what waits
    size_t first = 0;  // part of the first rows
  };
  // Appends the next part, of about `bytes` where there is a choice; `epoch` was applied last.
  // False, and nothing appended, after the last, which has the counts.
  bool Encode(Cursor& cursor, base::EpochId epoch, size_t bytes, std::vector<uint8_t>& out) const;
  // What was captured is of this definition. Errors: kFailedPrecondition when it assumed the
  // arrival of rows that are joined in another way: what was made of them is in the log alone.
  base::Result<void> NoteCaptured(const PipelineDefinition& captured);
  // Epochs from now on came in under this definition. A new one begins with its own.
  void NoteInForce(const PipelineDefinition& in_force);
  // Whether NoteInForce can change anything.
  bool looks_at_what_is_in_force() const;
  // Into a new one, in the order of the parts. Errors: kCorruption.
  base::Result<void> Restore(columns::ByteReader& in, base::EpochId epoch);
  // After the last part. Errors: kFailedPrecondition when a stream that remembers rows was not
  // there: what it would remember is in the log alone.
  base::Result<void> CheckRestored() const;

 private:
  struct Stream {
    size_t index = 0;      // into the definition's streams
    std::string identity;  // name and DerivationText: what was captured of another is not taken
    DerivedCounts counts;
    std::unique_ptr<AsOfTable> versions;  // null without such a join
    // Of captured_through_: events of epochs that are applied again until then may be before it.
    base::Timestamp captured_watermark = base::Timestamp::Min();
    std::unique_ptr<IntervalTable> waiting;
    std::unique_ptr<FirstRows> first;
    // Null without such a join or dedupe, or without a clock.
    std::unique_ptr<HotKeys> event_keys, other_keys, dedupe_keys;
    JoinFigures kept;
    JoinFigures remembered;
    bool restored = false;
  };
  // The rows of the epoch at hand, beside `batches`.
  struct Moment {
    std::vector<columns::Position> positions;
    std::vector<int64_t> known_at;  // empty when it is observed
  };
  // The rows that a derivation begins with.
  struct Input {
    columns::ColumnBatch rows;
    std::vector<int64_t> known_at;             // empty when it is observed
    std::vector<columns::Position> positions;  // where the stream keeps them
  };
  Input InputOf(Stream& stream, base::EpochId epoch, std::span<const columns::ColumnBatch> batches,
                DerivedCounts& counts);
  Input WithVersions(Stream& stream, std::span<const columns::ColumnBatch> batches,
                     AsOfCounts& counts);
  JoiningRows RowsOf(size_t stream, std::span<const columns::ColumnBatch> batches) const;
  void LookForHotKeys(Stream& stream) const;
  void NoteKeys(HotKeys* of, const columns::ColumnBatch& rows) const;
  void ChargeMade(uint64_t bytes);
  void ReleaseMade();
  void NoteMoment(size_t stream, base::EpochId epoch, const columns::ColumnBatch& rows);
  void NoteDerived(size_t stream, base::EpochId epoch, const Input& input,
                   const std::vector<uint32_t>& from);
  void EncodeCounts(const Stream& stream, columns::ByteWriter& out) const;
  base::Result<void> RestoreCounts(columns::ByteReader& in);
  void EncodeUnnestCounts(columns::ByteWriter& out) const;
  base::Result<void> RestoreUnnestCounts(columns::ByteReader& in);
  void EncodeWithoutTexts(columns::ByteWriter& out) const;
  base::Result<void> RestoreWithoutTexts(columns::ByteReader& in);
  Stream* Identified(std::string_view identity);

  const PipelineDefinition& definition_;
  base::MemoryBudget& budget_;
  const env::Clock* const clock_;
  bool keeps_ = false;              // a stream keeps something of rows that have passed
  std::vector<Moment> moments_;     // by stream
  std::vector<KnownAtRule> rules_;  // by stream, for the epoch at hand
  mutable std::mutex mutex_;        // guards counts and figures, which only the applier changes
  std::vector<Stream> streams_;
  base::EpochId captured_through_;
  std::atomic<uint64_t> bytes_{0};
  uint64_t charged_bytes_ = 0;
  uint64_t made_bytes_ = 0;  // of the epoch at hand, charged as well
};

// The rows of `stream`, which is made without joins, that are made of these of its root
// (PipelineDefinition::RootOf), which are all of an epoch if lists are unnested. Counts nothing,
// but tells what lists became in each stream that unnests some.
DerivedRows DeriveFromRoot(
    const PipelineDefinition& definition, size_t stream, const columns::ColumnBatch& root_rows,
    const std::function<void(size_t stream, const UnnestedSize& lists)>& tell = {});

// A text for each derived stream that says all that its rows depend on: state of views over another
// text is not used again. Empty for a stream that comes in.
std::string DerivationText(const PipelineDefinition& definition, size_t stream);

}  // namespace headrace::pipeline
