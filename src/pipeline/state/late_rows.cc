// Rows older than their key's newest one. Visible chunks never change, so a chunk that gets a row
// is copied with it:
// 1. a late row belongs to the first chunk whose last row is after it, and with it all late rows up
// to that chunk's last event time;
// 2. they are merged into one or more new chunks of equal size;
// 3. these take the old chunk's place in copies of the nodes above it (row_tree.cc), or are the
// open chunk, with sealed ones before it;
// 4. the old chunk is retired, and the next late row is looked at.

#include <algorithm>
#include <utility>

#include "pipeline/state/row_store.h"

namespace headrace::pipeline {
namespace {

// Writes merged rows into chunks of `per_chunk`, taking runs from both sides.
struct MergeTarget {
  std::vector<RowChunk*> chunks;
  uint32_t per_chunk;
  uint32_t written = 0;

  RowChunk* chunk() const { return chunks[written / per_chunk]; }
  uint32_t at() const { return written % per_chunk; }
  uint32_t room() const { return per_chunk - at(); }
};

}  // namespace

void RowStore::InsertLate(Edit& edit, const BatchRows& batch, std::span<const uint32_t> rows) {
  RowImage& image = edit.image;
  while (!rows.empty()) {
    const auto at = LeafCursor::After(image.tree, batch.times[rows.front()]);
    if (at.at_end()) break;
    const int64_t last = at.last_time();
    const auto next = std::partition_point(rows.begin(), rows.end(),
                                           [&](uint32_t r) { return batch.times[r] < last; });
    const auto mine = rows.first(static_cast<size_t>(next - rows.begin()));
    rows = rows.subspan(mine.size());
    RowChunk* old = at.chunk();
    std::vector<TreeWriter::Sealed> sealed;
    for (const Piece& piece : Merge(*old, old->count(), batch, mine))
      sealed.push_back(tree_.Seal(piece.chunk, piece.count));
    tree_.Replace(image.tree, at, sealed, edit.step);
    RetireChunk(old, edit.step);
  }
  if (!rows.empty()) {
    RowChunk* old = std::exchange(image.open, nullptr);
    for (const Piece& piece : Merge(*old, image.open_count, batch, rows))
      PushChunk(edit, piece.chunk, piece.count);
    RetireChunk(old, edit.step);
  }
  Charge(tree_.TakeBytesChange());
  image.oldest_until = OldestUntil(image);
}

std::vector<RowStore::Piece> RowStore::Merge(const RowChunk& old, uint32_t old_count,
                                             const BatchRows& batch,
                                             std::span<const uint32_t> rows) {
  const auto total = old_count + static_cast<uint32_t>(rows.size());
  const uint32_t pieces = (total + kBlockRows - 1) / kBlockRows;
  MergeTarget target{.chunks = {}, .per_chunk = (total + pieces - 1) / pieces};
  for (uint32_t i = 0; i < pieces; ++i)
    target.chunks.push_back(NewChunk(RowChunk::CapacityFor(target.per_chunk)));
  const int64_t* times = old.times(layout_);
  uint32_t from = 0;
  while (target.written < total) {
    // Old rows up to and at the next late row's time come first: their positions are smaller.
    const uint32_t until =
        rows.empty() ? old_count
                     : static_cast<uint32_t>(std::upper_bound(times + from, times + old_count,
                                                              batch.times[rows.front()]) -
                                             times);
    if (until > from) {
      const uint32_t count = std::min(until - from, target.room());
      target.chunk()->AppendFrom(layout_, target.at(), old, from, from + count);
      from += count;
      target.written += count;
      continue;
    }
    const auto run = static_cast<size_t>(std::partition_point(rows.begin(), rows.end(),
                                                              [&](uint32_t r) {
                                                                return from == old_count ||
                                                                       batch.times[r] < times[from];
                                                              }) -
                                         rows.begin());
    const auto count = std::min<uint32_t>(static_cast<uint32_t>(run), target.room());
    target.chunk()->Append(layout_, target.at(), batch, rows.first(count), memory_);
    rows = rows.subspan(count);
    target.written += count;
  }
  CountRows(total - static_cast<int64_t>(old_count));
  std::vector<Piece> merged;
  for (uint32_t i = 0; i < pieces; ++i)
    merged.push_back({target.chunks[i], std::min(target.per_chunk, total - i * target.per_chunk)});
  return merged;
}

}  // namespace headrace::pipeline
