#pragma once
// One pass over a key's rows from the newest to the oldest answers all windows of a view: each
// window is the one before it and the rows between their edges, so what is accumulated at an edge
// is that window's answer. Used online and offline.

#include <cstdint>
#include <span>

#include "pipeline/aggregates/accumulator.h"
#include "pipeline/views/window_outputs.h"

namespace headrace::pipeline {

// For one question; not thread-safe. `Answer` is what WindowOutputs::Write fills.
template <typename Answer>
class NestedWindows {
 public:
  // All outlive it; `rows` has none, and is scratch.
  NestedWindows(const WindowOutputs& outputs, const AggregatePlan& plan, base::Timestamp as_of,
                Accumulators& rows, Answer& answer)
      : outputs_(outputs),
        plan_(plan),
        as_of_(as_of),
        rows_(rows),
        answer_(answer),
        edge_(outputs.EdgeOf(0, as_of)) {
    rows_.SetAsOf(as_of);
  }

  // All windows are closed: older rows change nothing.
  bool done() const { return window_ == outputs_.windows(); }
  // Rows at or before this event time are outside of the window that is open.
  int64_t edge() const { return edge_; }

  // Adds rows [first, end) of a block, no row of which is newer than any added before or than
  // as_of. `counted`: those among them that count. `partials`: of exactly the rows [first, end)
  // when all of them count, or empty.
  void Add(const RowBlock& block, uint32_t first, uint32_t end, RowMask counted,
           const PartialRun& partials);
  // Adds blocks that lie in the open window as a whole, as Add does; slots without partials are not
  // added.
  void AddRun(const PartialRun& run);
  // Adds rows of such a block, in all slots or in those without partials.
  void AddInside(const RowBlock& block, RowMask rows) { rows_.Add(block, rows); }
  void AddWithoutPartial(const RowBlock& block, RowMask rows) {
    rows_.AddWithoutPartial(block, rows);
  }
  // No older row is in the open window.
  void Close();
  // Closes the windows that are still open. `newest`: event time of the key's newest counted row.
  void Finish(base::Timestamp newest);

 private:
  void CloseIfOldRowsDoNotMatter();

  const WindowOutputs& outputs_;
  const AggregatePlan& plan_;
  const base::Timestamp as_of_;
  Accumulators& rows_;
  Answer& answer_;
  size_t window_ = 0;
  int64_t edge_;
};

// How many of the first `count` times, ascending, are at or before `time`.
uint32_t RowsUpTo(const int64_t* times, uint32_t count, int64_t time);

}  // namespace headrace::pipeline
