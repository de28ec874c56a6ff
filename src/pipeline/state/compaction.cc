// Which rows a key may forget, inside chunks too.
//
// A windowed view needs the rows above the edge (clock - horizon), and as many of the newest at or
// below it as its last rows are. A lifetime view needs the rows above the edge and, for each
// distinct condition of its features, the newest row at or below it for which it holds: last(x) as
// of the edge is that row's x, and no reader may ask for an earlier time.

#include <algorithm>
#include <bit>

#include "pipeline/state/row_store.h"

namespace headrace::pipeline {
namespace {

// Rows for which the condition is true; all of them without a condition.
RowMask Holding(const RowBlock& block, const std::optional<size_t>& condition, RowMask rows) {
  if (!condition) return rows;
  return rows & block.arguments[*condition].valid & block.arguments[*condition].truth;
}

}  // namespace

// Marks in `satisfied` the conditions whose newest row at or below the edge is in this chunk.
// Chunks come newest first; of a windowed view it is asked for a key's only one.
RowMask RowStore::Needed(const Edit& edit, const RowChunk& chunk, uint32_t count,
                         std::vector<uint8_t>& satisfied) const {
  std::vector<ArgumentBlock> arguments(layout_.arguments());
  const RowBlock block = chunk.Block(layout_, arguments.data());
  const auto below = static_cast<uint32_t>(
      std::upper_bound(block.times, block.times + count, edit.forgotten(retention_)) - block.times);
  RowMask needed = RowsBetween(below, count);
  if (retention_.kind == Retention::Kind::kWindowed)
    return needed | RowsBetween(below - std::min(below, retention_.newest_rows), below);
  for (size_t i = 0; i < conditions_.size(); ++i) {
    const RowMask holding = Holding(block, conditions_[i], RowsBelow(below));
    if (satisfied[i] != 0 || holding == 0) continue;
    needed |= std::bit_floor(holding);
    satisfied[i] = 1;
  }
  return needed;
}

// Whether chunks after the first one have as many rows at or below the edge as are needed: of a
// lifetime view, one for every condition.
bool RowStore::NewerRowsSuffice(const Edit& edit) const {
  const RowImage& image = edit.image;
  LeafCursor at = LeafCursor::First(image.tree);
  std::vector<uint8_t> satisfied(conditions_.size(), 0);
  const bool counted = retention_.kind == Retention::Kind::kWindowed;
  uint32_t rows = 0;
  while (!at.at_end()) {
    at.Next();
    const auto [chunk, count] =
        at.at_end() ? Piece{image.open, image.open_count} : Piece{at.chunk(), at.chunk()->count()};
    if (count == 0 || chunk->times(layout_)[0] > edit.forgotten(retention_)) break;
    if (counted) {
      const int64_t* times = chunk->times(layout_);
      rows += static_cast<uint32_t>(
          std::upper_bound(times, times + count, edit.forgotten(retention_)) - times);
      if (rows >= retention_.newest_rows) return true;
    } else {
      Needed(edit, *chunk, count, satisfied);
    }
  }
  if (counted) return false;
  return std::all_of(satisfied.begin(), satisfied.end(), [](uint8_t s) { return s != 0; });
}

std::vector<RowStore::Piece> RowStore::ChunksOf(const RowImage& image) {
  std::vector<Piece> chunks;
  for (LeafCursor at = LeafCursor::First(image.tree); !at.at_end(); at.Next())
    chunks.push_back({at.chunk(), at.chunk()->count()});
  if (!image.empty()) chunks.push_back({image.open, image.open_count});
  return chunks;
}

// The open chunk is full. Rewrites the key's rows without those that are not needed, if that frees
// half of them. Tried when the number of chunks has doubled, so that its cost stays a constant per
// row. True when it was done.
bool RowStore::Compact(Edit& edit) {
  RowImage& image = edit.image;
  if (!TreeWriter::IsAtPowerOfTwo(image.tree)) return false;
  if (retention_.kind == Retention::Kind::kWindowed && !image.tree.empty())
    return false;  // whole chunks are dropped in time
  const std::vector<Piece> old = ChunksOf(image);
  std::vector<uint8_t> satisfied(conditions_.size(), 0);
  std::vector<RowMask> needed(old.size());
  size_t before = 0;
  size_t after = 0;
  for (size_t i = old.size(); i-- > 0;) {
    needed[i] = Needed(edit, *old[i].chunk, old[i].count, satisfied);
    before += old[i].count;
    after += static_cast<size_t>(std::popcount(needed[i]));
  }
  if (after * 2 > before || after == 0) return false;

  tree_.Clear(image.tree, edit.step);
  image.open = nullptr;
  image.open_count = 0;
  for (size_t i = 0; i < old.size(); ++i) {
    const auto [chunk, count] = old[i];
    const RowMask dropped = RowsBelow(count) & ~needed[i];
    RetireTexts(*chunk, dropped, edit.step);
    if (dropped != 0)
      image.dropped_time =
          std::max(image.dropped_time, chunk->times(layout_)[63 - std::countl_zero(dropped)]);
    ForEachRow(needed[i], [&](uint32_t row) {
      if (image.empty() || image.open_count == image.open->capacity())
        PushChunk(edit,
                  NewChunk(image.empty() ? RowChunk::CapacityFor(after) : RowChunk::kCapacityMax),
                  0);
      image.open->AppendFrom(layout_, image.open_count++, *chunk, row, row + 1);
    });
    RetireChunk(chunk, edit.step);
  }
  Charge(tree_.TakeBytesChange());
  image.oldest_until = OldestUntil(image);
  CountRows(static_cast<int64_t>(after) - static_cast<int64_t>(before));
  return true;
}

}  // namespace headrace::pipeline
