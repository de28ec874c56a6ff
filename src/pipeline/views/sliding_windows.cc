#include "pipeline/views/sliding_windows.h"

#include "pipeline/views/tree_pass.h"

namespace headrace::pipeline {

SlidingWindows::SlidingWindows(const WindowOutputs& outputs, const AggregatePlan& plan,
                               const ChunkLayout& layout)
    : outputs_(outputs),
      plan_(plan),
      layout_(layout),
      sums_(outputs.windows(), Accumulators(plan)),
      edges_(outputs.windows()),
      scratch_(plan),
      arguments_(layout.arguments()) {
  for (Edge& edge : edges_) edge.arguments.resize(layout.arguments());
}

void SlidingWindows::Find(const RowImage& image, int64_t time, Edge& edge) {
  const auto at = LeafCursor::After(image.tree, time);
  const RowChunk& chunk = at.at_end() ? *image.open : *at.chunk();
  edge.count = at.at_end() ? image.open_count : chunk.count();
  edge.block = chunk.Block(layout_, edge.arguments.data());
  edge.row = RowsUpTo(edge.block.times, edge.count, time);
}

void SlidingWindows::Begin(const RowImage& image, base::Timestamp as_of) {
  scratch_.Reset();
  NestedWindows<WindowSums> windows(outputs_, plan_, as_of, scratch_, sums_);
  TreePass<WindowSums>(layout_, image, as_of, arguments_.data(), windows).Run();
  windows.Finish(as_of);
  for (size_t w = 0; w < edges_.size(); ++w) Find(image, outputs_.EdgeOf(w, as_of), edges_[w]);
  valid_ = true;
}

bool SlidingWindows::Advance(size_t window, base::Timestamp as_of) {
  Edge& edge = edges_[window];
  const int64_t time = outputs_.EdgeOf(window, as_of);
  const uint32_t first = edge.row;
  while (edge.row < edge.count && edge.block.times[edge.row] <= time) ++edge.row;
  // The rows of the next chunk may be outside, too.
  if (edge.row == edge.count) return false;
  if (edge.row > first) sums_[window].Remove(edge.block, RowsBetween(first, edge.row));
  return true;
}

void SlidingWindows::Answer(const RowImage& image, uint32_t index, RowAnswers::Row answer) {
  const RowBlock block = image.open->Block(layout_, arguments_.data());
  const base::Timestamp as_of{block.times[index]};
  for (size_t w = 0; valid_ && w < edges_.size(); ++w) {
    sums_[w].Add(block, RowMask{1} << index);
    valid_ = Advance(w, as_of);
  }
  if (!valid_) {
    RowImage until = image;
    until.open_count = index + 1;
    Begin(until, as_of);
  }
  for (size_t w = 0; w < edges_.size(); ++w) outputs_.Write(w, sums_[w], answer);
  outputs_.WriteEventTime(as_of, as_of, answer);
}

}  // namespace headrace::pipeline
