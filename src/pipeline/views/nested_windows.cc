#include "pipeline/views/nested_windows.h"

#include <algorithm>

namespace headrace::pipeline {

uint32_t RowsUpTo(const int64_t* times, uint32_t count, int64_t time) {
  if (count == 0 || times[count - 1] <= time) return count;
  return static_cast<uint32_t>(std::upper_bound(times, times + count, time) - times);
}

void NestedWindows::Add(const RowBlock& block, uint32_t first, uint32_t end, RowMask counted,
                        std::span<const SlotPartial> partials) {
  const uint32_t all = end;
  while (!done() && end > first) {
    const int64_t edge = outputs_.EdgeOf(window_, as_of_);
    const uint32_t begin = block.times[first] > edge
                               ? first
                               : first + RowsUpTo(block.times + first, end - first, edge);
    if (begin == first && end == all && !partials.empty()) {
      rows_.MergePartials(partials);
      if (plan_.rereads_rows()) rows_.AddWithoutPartial(block, counted);
    } else {
      rows_.Add(block, counted & RowsBetween(begin, end));
    }
    if (begin == first) break;
    end = begin;
    outputs_.Write(window_++, rows_, answer_);
  }
  // Only older rows follow, and last() of the open windows needs none of them.
  if (plan_.only_newest() && rows_.AllHaveRows())
    while (!done()) outputs_.Write(window_++, rows_, answer_);
}

ViewAnswer NestedWindows::Finish(base::Timestamp newest) {
  while (!done()) outputs_.Write(window_++, rows_, answer_);
  outputs_.WriteEventTime(newest, as_of_, answer_);
  return std::move(answer_);
}

}  // namespace headrace::pipeline
