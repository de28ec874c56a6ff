// Which rows a key may forget, inside chunks too.
//
// A windowed view needs the rows above the edge (clock - horizon). A lifetime view needs them and,
// for each distinct condition of its features, the newest row at or below the edge for which it
// holds: last(x) as of the edge is that row's x, and no reader may ask for an earlier time.

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
// Chunks come newest first.
RowMask RowStore::Needed(const Edit& edit, const RowChunk& chunk, uint32_t count,
                         std::vector<uint8_t>& satisfied) const {
  std::vector<ArgumentBlock> arguments(layout_.arguments());
  const RowBlock block = chunk.Block(layout_, arguments.data());
  const auto below = static_cast<uint32_t>(
      std::upper_bound(block.times, block.times + count, edit.forgotten(retention_)) - block.times);
  RowMask needed = RowsBetween(below, count);
  if (retention_.kind == Retention::Kind::kWindowed) return needed;
  for (size_t i = 0; i < conditions_.size(); ++i) {
    const RowMask holding = Holding(block, conditions_[i], RowsBelow(below));
    if (satisfied[i] != 0 || holding == 0) continue;
    needed |= std::bit_floor(holding);
    satisfied[i] = 1;
  }
  return needed;
}

// Whether every condition has a row at or below the edge in chunks after `index`.
bool RowStore::NewerRowsSuffice(const Edit& edit, uint32_t index) const {
  const RowImage& image = edit.image;
  if (index + 1 >= image.end) return false;
  std::vector<uint8_t> satisfied(conditions_.size(), 0);
  for (uint32_t i = index + 1; i < image.end; ++i) {
    const RowChunk* chunk = image.chunk(i);
    if (image.count(i) == 0 || chunk->times(layout_)[0] > edit.forgotten(retention_)) break;
    Needed(edit, *chunk, image.count(i), satisfied);
  }
  return std::all_of(satisfied.begin(), satisfied.end(), [](uint8_t s) { return s != 0; });
}

// The last chunk is full. Rewrites the key's rows without those that are not needed, if that frees
// half of them. Tried when the number of chunks is a power of two, so that its cost stays a
// constant per row. True when it was done.
bool RowStore::Compact(Edit& edit) {
  RowImage& image = edit.image;
  if (!std::has_single_bit(image.chunks())) return false;
  if (retention_.kind == Retention::Kind::kWindowed && image.chunks() > 1)
    return false;  // whole chunks are dropped in time
  std::vector<uint8_t> satisfied(conditions_.size(), 0);
  std::vector<RowMask> needed(image.chunks());
  size_t before = 0;
  size_t after = 0;
  for (uint32_t i = image.end; i-- > image.begin;) {
    needed[i - image.begin] = Needed(edit, *image.chunk(i), image.count(i), satisfied);
    before += image.count(i);
    after += static_cast<size_t>(std::popcount(needed[i - image.begin]));
  }
  if (after * 2 > before || after == 0) return false;

  const RowImage old = image;
  image.directory = nullptr;
  image.begin = image.end = image.open_count = 0;
  for (uint32_t i = old.begin; i < old.end; ++i) {
    const RowChunk& chunk = *old.chunk(i);
    const RowMask dropped = RowsBelow(old.count(i)) & ~needed[i - old.begin];
    RetireTexts(chunk, dropped, edit.step);
    if (dropped != 0)
      image.dropped_time =
          std::max(image.dropped_time, chunk.times(layout_)[63 - std::countl_zero(dropped)]);
    ForEachRow(needed[i - old.begin], [&](uint32_t row) {
      if (image.chunks() == 0 || image.open_count == image.last()->capacity()) {
        if (image.chunks() > 0) image.last()->Seal(layout_, image.open_count, scratch_);
        PushChunk(
            edit,
            NewChunk(image.chunks() > 0 ? RowChunk::kCapacityMax : RowChunk::CapacityFor(after)),
            0);
      }
      image.last()->AppendFrom(layout_, image.open_count++, chunk, row, row + 1);
    });
    RetireChunk(old.chunk(i), edit.step);
  }
  image.oldest_until = last_time_of(image, image.begin);
  RetireDirectory(old.directory, edit.step);
  CountRows(static_cast<int64_t>(after) - static_cast<int64_t>(before));
  return true;
}

}  // namespace headrace::pipeline
