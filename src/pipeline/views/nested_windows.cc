#include "pipeline/views/nested_windows.h"

#include <algorithm>

#include "pipeline/views/row_answers.h"

namespace headrace::pipeline {

uint32_t RowsUpTo(const int64_t* times, uint32_t count, int64_t time) {
  if (count == 0 || times[count - 1] <= time) return count;
  // Halves without branches: where the edge lies is nothing that could be guessed.
  const int64_t* begin = times;
  for (uint32_t left = count - 1; left > 0;) {
    const uint32_t half = (left + 1) / 2;
    begin += begin[half - 1] <= time ? half : 0;
    left -= half;
  }
  return static_cast<uint32_t>(begin - times);
}

template <typename Answer>
void NestedWindows<Answer>::Add(const RowBlock& block, uint32_t first, uint32_t end,
                                RowMask counted, const PartialRun& partials) {
  const uint32_t all = end;
  while (!done() && end > first) {
    const uint32_t begin = block.times[first] > edge_
                               ? first
                               : first + RowsUpTo(block.times + first, end - first, edge_);
    if (begin == first && end == all && partials.first != partials.end) {
      rows_.MergeRun(partials);
      if (plan_.rereads_rows()) rows_.AddWithoutPartial(block, counted);
    } else {
      rows_.Add(block, counted & RowsBetween(begin, end));
    }
    if (begin == first) break;
    end = begin;
    Close();
  }
  CloseIfOldRowsDoNotMatter();
}

template <typename Answer>
void NestedWindows<Answer>::AddRun(const PartialRun& run) {
  rows_.MergeRun(run);
  CloseIfOldRowsDoNotMatter();
}

// Only older rows follow, and last() of the open windows needs none of them.
template <typename Answer>
void NestedWindows<Answer>::CloseIfOldRowsDoNotMatter() {
  if (plan_.only_newest() && rows_.AllHaveRows())
    while (!done()) Close();
}

template <typename Answer>
void NestedWindows<Answer>::Close() {
  outputs_.Write(window_++, rows_, answer_);
  if (!done()) edge_ = outputs_.EdgeOf(window_, as_of_);
}

template <typename Answer>
void NestedWindows<Answer>::Finish(base::Timestamp newest) {
  while (!done()) Close();
  outputs_.WriteEventTime(newest, as_of_, answer_);
}

template class NestedWindows<ViewAnswer>;
template class NestedWindows<RowAnswers::Row>;
template class NestedWindows<WindowSums>;

}  // namespace headrace::pipeline
