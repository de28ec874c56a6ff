// Which rows a key may forget, inside chunks too: those at or below the edge (clock - horizon), but
// for as many of the newest of them as the view's last rows are; and those that are in tiles.

#include <algorithm>
#include <bit>

#include "pipeline/state/row_store.h"

namespace headrace::pipeline {

// Whether chunks after the first one have as many rows at or below the edge as are needed.
bool RowStore::NewerRowsSuffice(const Edit& edit) const {
  const RowImage& image = edit.image;
  LeafCursor at = LeafCursor::First(image.tree);
  const int64_t forgotten = edit.forgotten(retention_);
  uint32_t rows = 0;
  while (!at.at_end()) {
    at.Next();
    const auto [chunk, count] =
        at.at_end() ? Piece{image.open, image.open_count} : Piece{at.chunk(), at.chunk()->count()};
    if (count == 0 || chunk->times(layout_)[0] > forgotten) break;
    const int64_t* times = chunk->times(layout_);
    rows += static_cast<uint32_t>(std::upper_bound(times, times + count, forgotten) - times);
    if (rows >= retention_.newest_rows) return true;
  }
  return false;
}

std::vector<RowStore::Piece> RowStore::ChunksOf(const RowImage& image) {
  std::vector<Piece> chunks;
  for (LeafCursor at = LeafCursor::First(image.tree); !at.at_end(); at.Next())
    chunks.push_back({at.chunk(), at.chunk()->count()});
  if (!image.empty()) chunks.push_back({image.open, image.open_count});
  return chunks;
}

// The open chunk is full and the key's only one (before it whole chunks are dropped in time).
// Rewrites it without the rows that are not needed, if that frees half of it. True when it was
// done.
bool RowStore::Compact(Edit& edit) {
  RowImage& image = edit.image;
  if (!image.tree.empty()) return false;
  RowChunk* old = image.open;
  const uint32_t count = image.open_count;
  const int64_t* times = old->times(layout_);
  const auto rows_up_to = [&](int64_t time) {
    return static_cast<uint32_t>(std::upper_bound(times, times + count, time) - times);
  };
  uint32_t dropped = rows_up_to(edit.forgotten(retention_));
  dropped -= std::min(dropped, retention_.newest_rows);
  if (image.tiles != nullptr) dropped = std::max(dropped, rows_up_to(image.tiles->until - 1));
  if (dropped * 2 < count || dropped == count) return false;

  image.dropped_time = std::max(image.dropped_time, times[dropped - 1]);
  image.open = NewChunk(RowChunk::CapacityFor(count - dropped));
  image.open->AppendFrom(layout_, 0, *old, dropped, count);
  image.open_count = count - dropped;
  RetireTexts(*old, RowsBelow(dropped), edit.step);
  RetireChunk(old, edit.step);
  image.oldest_until = OldestUntil(image);
  CountRows(-static_cast<int64_t>(dropped));
  return true;
}

}  // namespace headrace::pipeline
