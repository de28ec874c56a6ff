#pragma once
// The windows of one key, sliding over rows that were appended one after the other: what is in a
// window as of a row is what was in it as of the row before, with that row and without those that
// its edge has passed. For plans whose slots are additive, where taking rows away leaves no trace,
// and WindowOutputs that slide.

#include <cstdint>
#include <vector>

#include "pipeline/state/row_store.h"
#include "pipeline/views/row_answers.h"
#include "pipeline/views/window_outputs.h"

namespace headrace::pipeline {

// Scratch of one view, used again for each key. Applier only.
class SlidingWindows {
 public:
  // All outlive it.
  SlidingWindows(const WindowOutputs& outputs, const AggregatePlan& plan, const RowStore& store);

  // A new key, or rows of this one that Answer was not told about.
  void Reset() { valid_ = false; }
  // Answers for the row `index` of `open`, the block of the image's open chunk: the newest row so
  // far. False, and nothing is answered, when sums do not fit; then it begins anew with the next.
  bool Answer(const RowImage& image, const RowBlock& open, uint32_t index, RowAnswers::Row answer);
  // The same for a row that no other of its key follows in this epoch, the newest of the image.
  bool AnswerAlone(const RowImage& image, base::Timestamp as_of, RowAnswers::Row answer);

 private:
  // Where a window begins: a row of a chunk. Of windows with a precision, until when: before the
  // edge moves nothing leaves them.
  struct Edge {
    int64_t stays_until;
    const RowChunk* chunk;
    std::vector<ArgumentBlock> arguments;
    RowBlock block;
    uint32_t row;
    uint32_t count;
  };
  bool Begin(const RowImage& image, base::Timestamp as_of);
  bool Sum(const RowImage& image, base::Timestamp as_of);
  void Write(base::Timestamp as_of, RowAnswers::Row answer);
  // False when sums do not fit, or an edge can't be followed: then begin again.
  bool Slide(const RowImage& image, const RowBlock& open, uint32_t index, base::Timestamp as_of);
  bool Advance(const RowImage& image, size_t window, base::Timestamp as_of);
  void SetEdge(const RowImage& image, const LeafCursor& at, Edge& edge);
  // All rows of the edge's chunk are outside: goes on in the same chunk, if it has more rows by
  // now, or in the next one. False when that is none of its neighbours.
  bool NextChunk(const RowImage& image, int64_t time, Edge& edge);

  const WindowOutputs& outputs_;
  const AggregatePlan& plan_;
  const std::vector<AdditiveFeature> features_;
  const RowStore& store_;
  const ChunkLayout& layout_;
  WindowSums sums_;
  std::vector<SlotPartial> row_;
  std::vector<Edge> edges_;
  AdditiveSums scratch_;
  std::vector<ArgumentBlock> arguments_;
  bool valid_ = false;
};

}  // namespace headrace::pipeline
