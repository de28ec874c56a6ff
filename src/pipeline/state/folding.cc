// Rows that no question can tell apart any more go into tiles: those before a boundary that every
// question ends at or after.
// 1. When the open chunk is full, and rows lie close enough in the key's first chunk or where the
// newest boundary is, all rows before that are counted, and the tiles that they are in;
// 2. if these would be smaller, which is tried again only when there are half as many rows more,
// what is accumulated over each tile's rows is put behind the tiles that are there, and all rows
// before the boundary count as gone;
// 3. chunks without any others are dropped. Of a chunk that has some, readers pass over those that
// are gone.
// 4. A row that comes late, before the boundary, is added to its tile, in a copy of the run.
// When that happens changes no answer: a window has a tile's rows all, or none.

#include <algorithm>

#include "pipeline/state/row_store.h"

namespace headrace::pipeline {
namespace {

// Fewer are not worth a run of their own, nor a new one.
constexpr size_t kFoldRowsMin = 8;

}  // namespace

// Rows [begin, end) of chunks behind one another.
struct RowStore::Foldable {
  struct Part {
    const RowChunk* chunk;
    uint32_t begin;
    uint32_t end;
  };
  std::vector<Part> parts;
  int64_t until;
  size_t rows = 0;
  size_t tiles = 0;
  size_t bytes = 0;  // of the rows, without bits
};

// The newest that every question ends at or after.
int64_t RowStore::BoundaryOf(const Edit& edit) const {
  return tiles_->layout.BoundaryUpTo((base::Timestamp{edit.clock} - retention_.tiles->settled).us);
}

RowStore::Foldable RowStore::FindFoldable(const Edit& edit) const {
  const RowImage& image = edit.image;
  Foldable found{.parts = {}, .until = BoundaryOf(edit)};
  int64_t since = edit.forgotten(retention_);  // rows up to it are in no window
  if (image.tiles != nullptr) since = std::max(since, image.tiles->until - 1);
  if (image.empty() || found.until <= since) return found;
  int64_t tile = RowImage::kNever;
  const auto add = [&](const RowChunk* chunk, uint32_t count) {
    const int64_t* times = chunk->times(layout_);
    const auto begin = static_cast<uint32_t>(std::upper_bound(times, times + count, since) - times);
    const auto end =
        static_cast<uint32_t>(std::lower_bound(times + begin, times + count, found.until) - times);
    if (begin < end) found.parts.push_back({chunk, begin, end});
    found.rows += end - begin;
    found.bytes += (end - begin) * layout_.row_bytes();
    if (layout_.has_text()) found.bytes += chunk->TextBytes(layout_, begin, end);
    for (uint32_t row = begin; row < end; ++row) {
      const int64_t start = tiles_->layout.StartOf(times[row]);
      found.tiles += start != tile ? 1 : 0;
      tile = start;
    }
    return end == count;
  };
  for (auto at = LeafCursor::After(image.tree, since); !at.at_end(); at.Next())
    if (!add(at.chunk(), at.chunk()->count())) return found;
  add(image.open, image.open_count);
  return found;
}

// Whether its rows would take less as tiles, at a guess.
bool RowStore::IsDense(const Piece& piece) const {
  if (piece.count == 0) return false;
  const int64_t* times = piece.chunk->times(layout_);
  const uint64_t tiles = tiles_->layout.TilesBetween(times[0], times[piece.count - 1]) + 1;
  return std::min<uint64_t>(tiles, piece.count) * tiles_->layout.tile_bytes() <
         piece.count * layout_.row_bytes();
}

// Looks at two chunks, so that keys with few rows in a tile cost no more than that.
bool RowStore::MayFold(const Edit& edit, int64_t until) const {
  const RowImage& image = edit.image;
  const Piece open{image.open, image.open_count};
  if (image.tree.empty()) return IsDense(open);
  const auto piece = [&](const LeafCursor& at) {
    return at.at_end() ? open : Piece{at.chunk(), at.chunk()->count()};
  };
  return IsDense(piece(LeafCursor::First(image.tree))) ||
         IsDense(piece(LeafCursor::After(image.tree, until - 1)));
}

bool RowStore::FoldPays(const Edit& edit, const Foldable& rows) const {
  if (rows.rows < kFoldRowsMin) return false;
  const bool has_run = edit.image.tiles != nullptr;
  const size_t run = has_run ? 0 : sizeof(TileRun) + sizeof(TileArray);
  // Of a view without windows the one tile is there already.
  const size_t tiles = has_run && !retention_.horizon ? 0 : rows.tiles;
  return run + tiles * tiles_->layout.tile_bytes() < rows.bytes;
}

std::vector<TileDraft> RowStore::DraftTiles(const Edit& edit, const Foldable& rows) {
  std::vector<TileDraft> drafts;
  std::vector<ArgumentBlock> arguments(layout_.arguments());
  std::optional<int64_t> tile;
  const auto close = [&] {
    if (tile) drafts.push_back(tiles_->writer.DraftOf(*tile, tiles_->rows));
  };
  for (const Foldable::Part& part : rows.parts) {
    const RowBlock block = part.chunk->Block(layout_, arguments.data());
    for (uint32_t row = part.begin; row < part.end;) {
      const int64_t start = tiles_->layout.StartOf(block.times[row]);
      const int64_t end = tiles_->layout.EndOf(start);
      const auto behind = static_cast<uint32_t>(
          std::lower_bound(block.times + row, block.times + part.end, end) - block.times);
      if (tile != start) {
        close();
        tile = start;
        tiles_->rows.Reset();
        tiles_->writer.Merge(edit.image.tiles, start, tiles_->rows);
      }
      tiles_->rows.Add(block, RowsBetween(row, behind));
      row = behind;
    }
  }
  close();
  return drafts;
}

void RowStore::ChargeTiles() {
  const int64_t change = tiles_->writer.TakeBytesChange();
  tiles_->bytes.fetch_add(static_cast<uint64_t>(change), std::memory_order_relaxed);
  Charge(change);
}

std::optional<TileFigures> RowStore::tile_figures() const {
  if (tiles_ == nullptr) return std::nullopt;
  return TileFigures{.bytes = tiles_->bytes.load(std::memory_order_relaxed),
                     .folds = tiles_->folds.load(std::memory_order_relaxed),
                     .rows = tiles_->folded_rows.load(std::memory_order_relaxed),
                     .late_rows = tiles_->late_rows.load(std::memory_order_relaxed),
                     .drafted_rows = tiles_->drafted_rows.load(std::memory_order_relaxed)};
}

// Tiles would take more than these rows: they are looked at again when there are half as many more.
// Always false.
bool RowStore::WaitToFold(Edit& edit, const Foldable& rows) const {
  if (retention_.horizon)
    edit.image.fold_wait = static_cast<uint32_t>(rows.rows / (2 * RowChunk::kCapacityMax));
  return false;
}

// True when it was done.
bool RowStore::Fold(Edit& edit) {
  RowImage& image = edit.image;
  if (tiles_ == nullptr || (image.tree.empty() && image.open_count < kFoldRowsMin)) return false;
  if (image.fold_wait > 0) {
    --image.fold_wait;
    return false;
  }
  if (retention_.horizon && !MayFold(edit, BoundaryOf(edit))) return false;
  const Foldable rows = FindFoldable(edit);
  if (!FoldPays(edit, rows)) return WaitToFold(edit, rows);
  const std::vector<TileDraft> drafts = DraftTiles(edit, rows);
  tiles_->drafted_rows.fetch_add(rows.rows, std::memory_order_relaxed);
  if (retention_.horizon && tiles_->writer.BytesOf(drafts) >= rows.bytes)
    return WaitToFold(edit, rows);
  image.tiles = tiles_->writer.Put(image.tiles, drafts, rows.until, edit.step);
  tiles_->folds.fetch_add(1, std::memory_order_relaxed);
  tiles_->folded_rows.fetch_add(rows.rows, std::memory_order_relaxed);
  ChargeTiles();
  image.oldest_until = OldestUntil(image);
  while (!image.empty() && image.oldest_until < rows.until) DropChunk(edit);
  return true;
}

// Those of the rows that are before the boundary, which come first; the others are returned.
std::span<const uint32_t> RowStore::AddToTiles(Edit& edit, const BatchRows& batch,
                                               std::span<const uint32_t> rows) {
  RowImage& image = edit.image;
  const auto behind = std::ranges::partition_point(
      rows, [&](uint32_t row) { return batch.times[row] < image.tiles->until; });
  auto late = rows.first(static_cast<size_t>(behind - rows.begin()));
  rows = rows.subspan(late.size());
  tiles_->late_rows.fetch_add(late.size(), std::memory_order_relaxed);
  while (!late.empty()) {
    const auto some = late.first(std::min<size_t>(late.size(), kBlockRows));
    late = late.subspan(some.size());
    const auto count = static_cast<uint32_t>(some.size());
    RowChunk* chunk = RowChunk::Make(layout_, RowChunk::CapacityFor(count), memory_);
    chunk->Append(layout_, 0, batch, some, memory_);
    const Foldable of_chunk{
        .parts = {{chunk, 0, count}}, .until = image.tiles->until, .rows = count};
    const std::vector<TileDraft> drafts = DraftTiles(edit, of_chunk);
    image.dropped_time = std::max(image.dropped_time, batch.times[some.back()]);
    image.tiles = tiles_->writer.Put(image.tiles, drafts, image.tiles->until, edit.step);
    chunk->FreeUnseen(layout_, count, memory_);
  }
  ChargeTiles();
  return rows;
}

}  // namespace headrace::pipeline
