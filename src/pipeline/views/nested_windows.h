#pragma once
// One pass over a key's rows from the newest to the oldest answers all windows of a view: each
// window is the one before it and the rows between their edges, so what is accumulated at an edge
// is that window's answer. Used online and offline.

#include <cstdint>
#include <span>

#include "pipeline/aggregates/accumulator.h"
#include "pipeline/views/window_outputs.h"

namespace headrace::pipeline {

// For one question; not thread-safe.
class NestedWindows {
 public:
  // Both outlive it.
  NestedWindows(const WindowOutputs& outputs, const AggregatePlan& plan, base::Timestamp as_of)
      : outputs_(outputs), plan_(plan), as_of_(as_of), rows_(plan), answer_(outputs.NotFound()) {}

  // All windows are closed: older rows change nothing.
  bool done() const { return window_ == outputs_.windows(); }

  // Adds rows [first, end) of a block, no row of which is newer than any added before or than
  // as_of. `counted`: those among them that count. `partials`: of exactly the rows [first, end)
  // when all of them count, or empty.
  void Add(const RowBlock& block, uint32_t first, uint32_t end, RowMask counted,
           std::span<const SlotPartial> partials);

  // Closes the windows that are still open. `newest`: event time of the key's newest counted row.
  ViewAnswer Finish(base::Timestamp newest);

 private:
  const WindowOutputs& outputs_;
  const AggregatePlan& plan_;
  const base::Timestamp as_of_;
  Accumulators rows_;
  ViewAnswer answer_;
  size_t window_ = 0;
};

// How many of the first `count` times, ascending, are at or before `time`.
uint32_t RowsUpTo(const int64_t* times, uint32_t count, int64_t time);

}  // namespace headrace::pipeline
