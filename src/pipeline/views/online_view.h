#pragma once
// One view's online state and how it is answered.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "columns/batch.h"
#include "pipeline/definition.h"
#include "pipeline/state/row_store.h"
#include "pipeline/views/answer.h"
#include "pipeline/views/event_ahead.h"
#include "pipeline/views/key_rows.h"
#include "pipeline/views/left_out.h"
#include "pipeline/views/row_answers.h"
#include "pipeline/views/row_groups.h"
#include "pipeline/views/sliding_windows.h"
#include "pipeline/views/window_outputs.h"

namespace headrace::pipeline {

// One thread applies; any thread reads under a pin of the step that it names.
class OnlineView {
 public:
  // Both outlive it.
  OnlineView(const ViewDefinition& view, StateMemory& memory);
  OnlineView(const OnlineView&) = delete;

  const ViewDefinition& definition() const { return view_; }
  const RowStore& store() const { return store_; }

  // The rows of the batch that are rows of this view. Lives until the next call.
  std::span<const uint32_t> Select(const columns::ColumnBatch& batch);

  // What one epoch does to the view, or a piece of history of many epochs.
  struct EpochRows {
    const columns::ColumnBatch& batch;
    std::span<const int64_t> times;
    std::span<const uint32_t> rows;     // as Select gave them
    std::span<const uint32_t> numbers;  // by row number
    uint32_t numbers_end;
    base::EpochId epoch;
    base::Timestamp clock;
    std::span<const columns::Position> positions = {};  // of a piece of history, by row number
  };
  void Apply(const EpochRows& epoch, RowGroups& groups, Step step);
  // From now on Apply hands the answers as of each row to `reader`, which outlives the view or is
  // replaced; null: no more. `view` is what the reader is told.
  void AnswerRows(size_t view, RowAnswerReader* reader);
  // The keys of this page (RowStore::kPageRows numbers) have the rows of epochs up to `epoch`
  // already: Apply leaves those out. Pages in ascending order.
  void NoteCaptured(uint32_t page, base::EpochId epoch);
  // The latest of those epochs: up to it, rows of some keys may not be applied again. Writer.
  base::EpochId captured_through() const { return captured_through_; }
  base::Result<void> RestoreKey(uint32_t number, columns::ByteReader& in, Step step) {
    return store_.RestoreKey(number, in, step);
  }
  // As RowStore::Sweep.
  size_t Sweep(size_t keys, base::Timestamp clock, Step step) {
    NoteClock(clock);
    return store_.Sweep(keys, clock, step);
  }
  // Rows may have been dropped that nobody needs at this clock.
  void NoteClock(base::Timestamp clock) { clock_ = std::max(clock_, clock); }

  ViewAnswer NotFound() const { return outputs_.NotFound(); }
  // The answer of a key's version. `without`: a row that does not count. One that can't be told
  // from others makes every output INVALID.
  ViewAnswer Answer(const RowImage& image, base::Timestamp as_of,
                    const std::optional<LeftOutRow>& without = std::nullopt) const;
  // The answer that there will be when `ahead` is applied, and nothing else. Nothing when that
  // can't be told: there are newer rows, and windows that are not bounded by time alone.
  std::optional<ViewAnswer> AnswerAhead(const RowImage& image, base::Timestamp as_of,
                                        const AheadRow& ahead) const;
  // The key's rows that are not in tiles; without a number those of a key that is not known.
  // `clock`: of the step. Errors: those of CopyRows.
  base::Result<KeyRows> RowsOf(std::optional<uint32_t> number, Step step, base::Timestamp clock,
                               size_t rows_max) const;
  // Whether the view has this row, if it is of the view at all, as a row of its own at this clock:
  // it may have been dropped, or added up with others.
  enum class Kept : uint8_t {
    kYes,
    kOutsideWindows,  // perhaps not, but it counts in no window any more
    kPerhapsNot,
  };
  Kept KeptOf(const LeftOutRow& row, base::Timestamp clock) const;
  // Flips the lowest bit of the first argument that has one, of the newest row that readers of this
  // step see. False when there is no such row.
  bool FlipBit(uint32_t number, Step step);

 private:
  // What is needed to answer rows as they are applied.
  struct Answering {
    size_t view;
    RowAnswerReader* reader;
    RowAnswers answers;
    SlidingWindows sliding;
    Accumulators scratch;
    std::vector<ArgumentBlock> arguments;
    std::vector<ArgumentBlock> open;
    std::vector<uint32_t> by_position;
  };
  // Asks for what the groups after `at` will touch.
  void Prefetch(std::span<const RowGroups::Group> groups, size_t at,
                std::span<const int64_t> times) const;
  // Appends a key's rows one after the other, and answers as of each.
  void AppendAnswering(uint32_t number, const BatchRows& batch, std::span<const uint32_t> rows,
                       base::Timestamp clock, Step step);
  // How many of `rows`, the next ones by position, can be appended to `image` together and still be
  // told apart: they are in order of time, and end up in the open chunk.
  static size_t RunLength(const RowImage& image, std::span<const int64_t> times,
                          std::span<const uint32_t> rows);
  // Answers the `index`th row of the open chunk, as of when it was the newest.
  void AnswerNewest(const RowImage& image, uint32_t index, base::Timestamp as_of,
                    RowAnswers::Row answer);
  // Answers as of a row by what was there before it: `image` with so many rows in its open chunk.
  void AnswerBefore(const RowImage& image, uint32_t open_rows, base::Timestamp as_of,
                    RowAnswers::Row answer);
  void AnswerRow(const RowImage& image, base::Timestamp as_of, RowAnswers::Row answer);
  template <typename To>
  void Fill(const RowImage& image, base::Timestamp as_of, Accumulators& scratch,
            ArgumentBlock* arguments, To& answer, const FoundRow* without = nullptr,
            const AheadRow* ahead = nullptr) const;
  // Event time of the newest row at or before as_of but for `without`; kNever: there is none.
  int64_t NewestWithout(const RowImage& image, base::Timestamp as_of, const FoundRow& without,
                        int64_t time) const;
  // Of epochs up to captured_through_ only.
  bool IsCaptured(uint32_t number, base::EpochId epoch) const;

  const ViewDefinition& view_;
  const AggregatePlan plan_;
  const WindowOutputs outputs_;
  RowStore store_;
  base::Timestamp clock_ = base::Timestamp::Min();  // what was dropped, was at this one
  std::unique_ptr<Answering> answering_;
  std::vector<uint32_t> selected_;
  std::vector<base::EpochId> captured_;  // by page; empty once the replay has passed all of them
  base::EpochId captured_through_;       // the latest of them
};

}  // namespace headrace::pipeline
