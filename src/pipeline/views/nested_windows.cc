#include "pipeline/views/nested_windows.h"

#include <algorithm>
#include <bit>
#include <type_traits>
#include <utility>

#include "pipeline/views/row_answers.h"

namespace headrace::pipeline {
namespace {

// The `count` highest rows of a mask that has more.
RowMask HighestRows(RowMask rows, uint64_t count) {
  for (auto more = static_cast<uint64_t>(std::popcount(rows)) - count; more > 0; --more)
    rows &= rows - 1;
  return rows;
}

}  // namespace

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
NestedWindows<Answer>::NestedWindows(const WindowOutputs& outputs, const AggregatePlan& plan,
                                     size_t pass, base::Timestamp as_of, Rows& rows, Answer& answer,
                                     TilesBack tiles, const RowBlock* ahead)
    : outputs_(outputs),
      plan_(plan),
      as_of_(as_of),
      rows_(rows),
      answer_(answer),
      windows_(outputs.WindowsOf(pass)),
      end_time_(outputs.EndOf(pass, as_of)),
      tiles_(tiles),
      ahead_(ahead),
      counts_ahead_(ahead != nullptr),
      // Added before rows that may be newer, it must not keep them from being looked at.
      only_newest_(plan.only_newest() && !counts_ahead_) {
  const Window* first = outputs.KindOf(windows_.front());
  if (first != nullptr && first->kind == Window::Kind::kLastRows) bound_ = Bound::kRows;
  if (first != nullptr && first->is_session()) bound_ = Bound::kGap;
  if (first != nullptr && first->kind == Window::Kind::kSession) after_time_ = end_time_;
  rows_.SetAsOf(as_of);
  if (ahead_ != nullptr && ahead_->times[0] > end_time_) ahead_ = nullptr;
  Open();
  if (ahead_ != nullptr && bound_ != Bound::kTime)
    Add(*std::exchange(ahead_, nullptr), 0, 1, RowsBelow(1), {});
}

template <typename Answer>
void NestedWindows<Answer>::Open() {
  edge_ = window_edge_ = outputs_.EdgeOf(windows_[next_], as_of_);
  if (!tiles_.empty()) edge_ = std::max(edge_, tiles_.until() - 1);
  if (ahead_ != nullptr && bound_ == Bound::kTime) TakeAhead();
}

// What is in a window in time is a set: it may be added before newer rows, but not before it is in
// the window that is open.
template <typename Answer>
void NestedWindows<Answer>::TakeAhead() {
  if (ahead_->times[0] <= window_edge_) return;
  rows_.Add(*std::exchange(ahead_, nullptr), RowsBelow(1));
  has_more_ = true;
}

template <typename Answer>
uint32_t NestedWindows<Answer>::WholeBlocks(const PartialRun& run) const {
  if (bound_ == Bound::kTime) return run.end - run.first;
  if (bound_ == Bound::kGap) return 0;  // gaps are between rows
  uint64_t left = outputs_.KindOf(windows_[next_])->rows - taken_;
  for (uint32_t at = run.end; at > run.first; --at) {
    const uint64_t rows = RowsInRun(plan_, {run.partials, at - 1, at});
    if (rows > left) return run.end - at;
    left -= rows;
  }
  return run.end - run.first;
}

template <typename Answer>
NestedWindows<Answer>::Part NestedWindows<Answer>::PartInSession(const RowBlock& block,
                                                                 RowMask rows) {
  const auto gap = static_cast<uint64_t>(outputs_.KindOf(windows_[next_])->step.count());
  RowMask inside = 0;
  for (RowMask left = rows; left != 0;) {
    const auto row = 63 - static_cast<uint32_t>(std::countl_zero(left));
    const int64_t time = block.times[row];
    if (after_time_ && static_cast<uint64_t>(*after_time_) - static_cast<uint64_t>(time) > gap)
      return {inside, true};
    after_time_ = time;
    inside |= RowMask{1} << row;
    left &= ~(RowMask{1} << row);
  }
  return {inside, false};
}

template <typename Answer>
NestedWindows<Answer>::Part NestedWindows<Answer>::PartInWindow(const RowBlock& block,
                                                                RowMask rows) {
  if (bound_ == Bound::kTime) return {rows, false};
  if (bound_ == Bound::kGap) return PartInSession(block, rows);
  const uint64_t left = outputs_.KindOf(windows_[next_])->rows - taken_;
  const auto count = static_cast<uint64_t>(std::popcount(rows));
  if (count > left) rows = HighestRows(rows, left);
  taken_ += std::min(count, left);
  return {rows, count >= left};
}

template <typename Answer>
void NestedWindows<Answer>::Add(const RowBlock& block, uint32_t first, uint32_t end,
                                RowMask counted, const PartialRun& partials) {
  const uint32_t all = end;
  while (!done() && end > first) {
    const uint32_t begin = block.times[first] > edge_
                               ? first
                               : first + RowsUpTo(block.times + first, end - first, edge_);
    const auto [rows, begins] = PartInWindow(block, counted & RowsBetween(begin, end));
    has_more_ = has_more_ || rows != 0;
    if (begin == first && end == all && rows == counted && partials.first != partials.end) {
      rows_.MergeRun(partials);
      if (plan_.rereads_rows()) rows_.AddWithoutPartial(block, counted);
    } else {
      rows_.Add(block, rows);
    }
    if (begins) {
      end = rows == 0 ? end : static_cast<uint32_t>(std::countr_zero(rows));
    } else {
      if (begin == first) break;
      end = begin;
    }
    Close();
  }
  CloseIfOldRowsDoNotMatter();
}

template <typename Answer>
void NestedWindows<Answer>::AddRun(const PartialRun& run) {
  rows_.MergeRun(run);
  has_more_ = true;
  if (bound_ == Bound::kRows) taken_ += RowsInRun(plan_, run);
  CloseIfOldRowsDoNotMatter();
}

template <typename Answer>
void NestedWindows<Answer>::CloseFull() {
  while (bound_ == Bound::kRows && !done() && taken_ == outputs_.KindOf(windows_[next_])->rows)
    Close();
}

// Only older rows follow, and last() of the open windows needs none of them.
template <typename Answer>
void NestedWindows<Answer>::CloseIfOldRowsDoNotMatter() {
  if (only_newest_ && rows_.AllHaveRows()) Finish();
}

template <typename Answer>
void NestedWindows<Answer>::Close() {
  if (!tiles_.empty()) {
    tiles_.AddAfter(window_edge_, rows_);
    has_more_ = true;
  }
  WriteOutputs();
  ++next_;
  if (!done()) Open();
}

template <typename Answer>
void NestedWindows<Answer>::WriteOutputs() {
  const bool has_more = std::exchange(has_more_, false);
  if constexpr (std::is_same_v<Answer, ViewAnswer>)
    if (!has_more) return outputs_.Repeat(windows_[next_ - 1], windows_[next_], rows_, answer_);
  outputs_.Write(windows_[next_], rows_, answer_);
}

template class NestedWindows<ViewAnswer>;
template class NestedWindows<RowAnswers::Row>;
template class NestedWindows<WindowSums>;

}  // namespace headrace::pipeline
