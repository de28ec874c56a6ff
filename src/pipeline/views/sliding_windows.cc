#include "pipeline/views/sliding_windows.h"

#include "pipeline/aggregates/additive_sums.h"
#include "pipeline/views/tree_pass.h"

namespace headrace::pipeline {

SlidingWindows::SlidingWindows(const WindowOutputs& outputs, const AggregatePlan& plan,
                               const RowStore& store)
    : outputs_(outputs),
      plan_(plan),
      features_(outputs.AdditiveFeatures(plan)),
      store_(store),
      layout_(store.layout()),
      sums_{.slots = plan.slots().size(),
            .partials = std::vector<SlotPartial>(outputs.windows() * plan.slots().size()),
            .fit = true},
      row_(plan.slots().size()),
      edges_(outputs.windows()),
      scratch_(plan),
      arguments_(layout_.arguments()) {
  for (Edge& edge : edges_) edge.arguments.resize(layout_.arguments());
}

bool SlidingWindows::Sum(const RowImage& image, base::Timestamp as_of) {
  scratch_.Reset();
  sums_.fit = true;
  NestedWindows<WindowSums> windows(outputs_, plan_, 0, as_of, scratch_, sums_,
                                    store_.TilesOf(image));
  TreePass<WindowSums>(layout_, image, arguments_.data(), windows).Run();
  windows.Finish();
  return sums_.fit;
}

bool SlidingWindows::Begin(const RowImage& image, base::Timestamp as_of) {
  if (!Sum(image, as_of)) return false;
  for (size_t w = 0; w < edges_.size(); ++w) {
    const int64_t time = outputs_.EdgeOf(w, as_of);
    if (outputs_.has_precision()) {
      edges_[w].stays_until = time + outputs_.KindOf(w)->length.count();
      continue;
    }
    SetEdge(image, LeafCursor::After(image.tree, time), edges_[w]);
    edges_[w].row = RowsUpTo(edges_[w].block.times, edges_[w].count, time);
  }
  return true;
}

void SlidingWindows::Write(base::Timestamp as_of, RowAnswers::Row answer) {
  for (size_t w = 0; w < edges_.size(); ++w) outputs_.WriteSums(w, features_, sums_.Of(w), answer);
  outputs_.WriteEventTime(as_of, as_of, answer);
}

bool SlidingWindows::AnswerAlone(const RowImage& image, base::Timestamp as_of,
                                 RowAnswers::Row answer) {
  if (!Sum(image, as_of)) return false;
  Write(as_of, answer);
  return true;
}

void SlidingWindows::SetEdge(const RowImage& image, const LeafCursor& at, Edge& edge) {
  edge.chunk = at.at_end() ? image.open : at.chunk();
  edge.count = at.at_end() ? image.open_count : edge.chunk->count();
  edge.block = edge.chunk->Block(layout_, edge.arguments.data());
}

bool SlidingWindows::NextChunk(const RowImage& image, int64_t time, Edge& edge) {
  const auto at = LeafCursor::After(image.tree, time);
  const RowChunk* chunk = at.at_end() ? image.open : at.chunk();
  const bool same = chunk == edge.chunk;
  // One that was open may have got rows since, which were never looked at.
  const bool next = at.IsBehind(edge.chunk) && edge.chunk->count() == edge.count;
  if (!same && !next) return false;
  SetEdge(image, at, edge);
  if (!same) edge.row = 0;
  return true;
}

bool SlidingWindows::Advance(const RowImage& image, size_t window, base::Timestamp as_of) {
  Edge& edge = edges_[window];
  if (outputs_.has_precision()) return as_of.us <= edge.stays_until;
  const int64_t time = outputs_.EdgeOf(window, as_of);
  while (true) {
    for (; edge.row < edge.count && edge.block.times[edge.row] <= time; ++edge.row) {
      if (!RowPartials(plan_, edge.block, edge.row, row_.data()) ||
          !SubtractPartials(sums_.Of(window), row_.data(), sums_.slots))
        return false;
    }
    if (edge.row < edge.count) return true;
    if (!NextChunk(image, time, edge)) return false;
  }
}

bool SlidingWindows::Slide(const RowImage& image, const RowBlock& open, uint32_t index,
                           base::Timestamp as_of) {
  if (!RowPartials(plan_, open, index, row_.data())) return false;
  for (size_t w = 0; w < edges_.size(); ++w)
    if (!AddPartials(sums_.Of(w), row_.data(), sums_.slots)) return false;
  for (size_t w = 0; w < edges_.size(); ++w)
    if (!Advance(image, w, as_of)) return false;
  return true;
}

bool SlidingWindows::Answer(const RowImage& image, const RowBlock& open, uint32_t index,
                            RowAnswers::Row answer) {
  const base::Timestamp as_of{open.times[index]};
  valid_ = valid_ && Slide(image, open, index, as_of);
  if (!valid_) {
    RowImage until = image;
    until.open_count = index + 1;
    valid_ = Begin(until, as_of);
  }
  if (!valid_) return false;
  Write(as_of, answer);
  return true;
}

}  // namespace headrace::pipeline
