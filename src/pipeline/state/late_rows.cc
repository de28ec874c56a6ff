// Rows older than their key's newest one. Visible chunks never change, so each chunk that gets a
// row is copied with it:
// 1. walk the chunks from the one that the first late row belongs to, giving each the rows up to
// its last event time;
// 2. a chunk without any is kept, the others are merged into one or two new chunks of equal size;
// 3. all go into a new directory, and the old chunks and the old directory are retired.

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
  std::vector<std::pair<RowChunk*, uint32_t>> chunks;
  for (uint32_t i = image.begin; i < image.end; ++i) {
    const int64_t last = last_time_of(image, i);
    const auto next = std::partition_point(rows.begin(), rows.end(),
                                           [&](uint32_t r) { return batch.times[r] < last; });
    const auto mine = rows.first(static_cast<size_t>(next - rows.begin()));
    rows = rows.subspan(mine.size());
    RowChunk* chunk = image.chunk(i);
    if (mine.empty()) {
      chunks.emplace_back(chunk, image.count(i));
      continue;
    }
    MergeInto(edit, chunks, *chunk, image.count(i), batch, mine);
    RetireChunk(chunk, edit.step);
  }
  Directory* directory =
      NewDirectory(std::max<uint32_t>(2, static_cast<uint32_t>(chunks.size()) + 1));
  for (size_t i = 0; i < chunks.size(); ++i) {
    const auto [chunk, count] = chunks[i];
    directory->entries()[i].store(chunk, std::memory_order_relaxed);
    // New chunks before the last one have to be sealed, kept ones are.
    if (i + 1 < chunks.size() && chunk->count() == 0) chunk->Seal(layout_, count, scratch_);
  }
  RetireDirectory(image.directory, edit.step);
  image.directory = directory;
  image.begin = 0;
  image.end = static_cast<uint32_t>(chunks.size());
  image.open_count = chunks.back().second;
  image.oldest_until = last_time_of(image, 0);
}

void RowStore::MergeInto(Edit&, std::vector<std::pair<RowChunk*, uint32_t>>& out,
                         const RowChunk& old, uint32_t old_count, const BatchRows& batch,
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
  for (uint32_t i = 0; i < pieces; ++i)
    out.emplace_back(target.chunks[i], std::min(target.per_chunk, total - i * target.per_chunk));
}

}  // namespace headrace::pipeline
