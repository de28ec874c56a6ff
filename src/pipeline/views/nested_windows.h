#pragma once
// One pass over a key's rows from the newest to the oldest answers windows that end together: each
// is the one before it and the rows between where they begin, so what is accumulated there is that
// window's answer. Used online and offline.
//
// A window begins at an edge in time; the last rows begin when there are enough of them; a session
// at the first gap that is too long. The latter two can't be known before rows are looked at.
//
// Where the oldest rows of a key are in tiles, those are added when a window is closed; the rows
// themselves, if there are any left, lie before its edge.

#include <cstdint>
#include <limits>
#include <optional>
#include <span>

#include "pipeline/aggregates/accumulator.h"
#include "pipeline/state/tile_run.h"
#include "pipeline/views/window_outputs.h"

namespace headrace::pipeline {

// What rows are gathered in on their way to an answer.
template <typename Answer>
struct GatheredFor {
  using Rows = Accumulators;
};
template <>
struct GatheredFor<WindowSums> {
  using Rows = AdditiveSums;
};

// For one question; not thread-safe. `Answer` is what WindowOutputs::Write fills.
template <typename Answer>
class NestedWindows {
 public:
  using Rows = typename GatheredFor<Answer>::Rows;
  // All outlive it; `rows` has none, and is scratch. `ahead`: a block of one row that counts beside
  // those that are added, null for none. Unless the windows are bounded by time alone, no row that
  // is added is newer.
  NestedWindows(const WindowOutputs& outputs, const AggregatePlan& plan, size_t pass,
                base::Timestamp as_of, Rows& rows, Answer& answer, TilesBack tiles = {},
                const RowBlock* ahead = nullptr);

  // No row with a later event time is to be added.
  int64_t end_time() const { return end_time_; }
  // All windows are closed: older rows change nothing.
  bool done() const { return next_ == windows_.size(); }
  // Rows at or before this event time are outside of the window that is open.
  int64_t edge() const { return edge_; }
  // Blocks behind one another lie in the open window as a whole unless the edge is among them.
  bool is_bounded_by_time_alone() const { return bound_ == Bound::kTime; }
  // How many of the children [first, end) of a run, the newest, lie in the open window as a whole
  // for all that is known.
  uint32_t WholeBlocks(const PartialRun& run) const;

  // Adds rows [first, end) of a block, no row of which is newer than any added before or than
  // end_time. `counted`: those among them that count. `partials`: of exactly the rows [first, end)
  // when all of them count, or empty.
  void Add(const RowBlock& block, uint32_t first, uint32_t end, RowMask counted,
           const PartialRun& partials);
  // Adds blocks that lie in the open window as a whole; slots without partials are not added.
  // CloseFull is to follow when they are.
  void AddRun(const PartialRun& run);
  // Adds rows of such a block, in all slots or in those without partials.
  void AddInside(const RowBlock& block, RowMask rows) {
    rows_.Add(block, rows);
    has_more_ = true;
  }
  void AddWithoutPartial(const RowBlock& block, RowMask rows) {
    rows_.AddWithoutPartial(block, rows);
    has_more_ = true;
  }
  // Whether older rows than those that were added can change a slot without a partial.
  bool needs_older_rows() const { return counts_ahead_ || rows_.NeedsOlderRows(); }
  // Closes the windows that have all their rows.
  void CloseFull();
  // No older row is in the open window.
  void Close();
  // Closes the windows that are still open.
  void Finish() {
    while (!done()) Close();
  }

 private:
  enum class Bound : uint8_t { kTime, kRows, kGap };

  void Open();
  void TakeAhead();
  // Those of some rows that are in the open window as far as its bound says, and whether it begins
  // with the oldest of them.
  struct Part {
    RowMask rows;
    bool begins;
  };
  Part PartInWindow(const RowBlock& block, RowMask rows);
  Part PartInSession(const RowBlock& block, RowMask rows);
  void CloseIfOldRowsDoNotMatter();
  // Of the open window.
  void WriteOutputs();

  const WindowOutputs& outputs_;
  const AggregatePlan& plan_;
  const base::Timestamp as_of_;
  Rows& rows_;
  Answer& answer_;
  const std::span<const size_t> windows_;
  const int64_t end_time_;
  TilesBack tiles_;
  const RowBlock* ahead_;    // null: there is none, or it was added
  const bool counts_ahead_;  // it may be older than rows that are added after it
  const bool only_newest_;
  Bound bound_ = Bound::kTime;
  size_t next_ = 0;                    // of windows_, the one that is open
  bool has_more_ = true;               // rows than the window before
  int64_t window_edge_ = 0;            // of the open window
  int64_t edge_ = 0;                   // the same, or where its rows are in tiles from
  uint64_t taken_ = 0;                 // rows so far; kRows only
  std::optional<int64_t> after_time_;  // of the row before, of a session
};

// How many of the first `count` times, ascending, are at or before `time`.
uint32_t RowsUpTo(const int64_t* times, uint32_t count, int64_t time);

}  // namespace headrace::pipeline
