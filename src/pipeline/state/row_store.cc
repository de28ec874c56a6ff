#include "pipeline/state/row_store.h"

#include <algorithm>
#include <new>

namespace headrace::pipeline {
namespace {

constexpr size_t kLineBytes = 64;

// All of a node but its partials.
void PrefetchNode(const TreeNode* node) {
  const auto* bytes = reinterpret_cast<const char*>(node);
  const size_t size = sizeof(TreeNode) + TreeNode::kFanOut * (sizeof(int64_t) + sizeof(void*));
  for (size_t at = 0; at < size; at += kLineBytes) __builtin_prefetch(bytes + at);
}

}  // namespace

RowStore::RowStore(const AggregatePlan& plan, Retention retention, StateMemory& memory)
    : layout_(plan),
      retention_(retention),
      memory_(memory),
      tree_(layout_, memory),
      undo_(memory),
      tiles_(retention.tiles ? std::make_unique<Tiles>(plan, *retention.tiles, memory) : nullptr) {}

RowStore::~RowStore() {
  PageTable* table = pages_.load(std::memory_order_relaxed);
  if (table == nullptr) return;
  for (uint64_t i = 0; i < table->size; ++i) {
    Page* page = table->pages()[i].load(std::memory_order_relaxed);
    if (page == nullptr) continue;
    for (const StateRow& row : page->rows) {
      RowImage image = row.Newest(layout_, tiled());
      for (const Piece& piece : ChunksOf(image)) {
        RetireTexts(*piece.chunk, RowsBelow(piece.count), 0);
        memory_.Free(piece.chunk, piece.chunk->Bytes(layout_));
      }
      tree_.Clear(image.tree, 0);
      if (tiles_) tiles_->writer.Clear(image.tiles, 0);
      if (row.Past() != nullptr) memory_.Free(const_cast<KeyPast*>(row.Past()), sizeof(KeyPast));
    }
    memory_.Free(page, sizeof(Page));
  }
  memory_.Free(table, PageTable::Bytes(table->size));
}

int64_t RowStore::Edit::forgotten(const Retention& retention) const {
  return retention.horizon ? (base::Timestamp{clock} - *retention.horizon).us : RowImage::kNever;
}

const StateRow* RowStore::RowAt(uint32_t number) const {
  PageTable* table = pages_.load(std::memory_order_acquire);
  if (table == nullptr || number / kPageRows >= table->size) return nullptr;
  const Page* page = table->pages()[number / kPageRows].load(std::memory_order_acquire);
  return page == nullptr ? nullptr : &page->rows[number % kPageRows];
}

RowStore::PageTable* RowStore::GrowPages(uint32_t number, Step step) {
  PageTable* old = pages_.load(std::memory_order_relaxed);
  const uint64_t old_size = old == nullptr ? 0 : old->size;
  const uint64_t size = std::max<uint64_t>({16, old_size * 2, number / kPageRows + uint64_t{1}});
  auto* table = new (memory_.Allocate(PageTable::Bytes(size))) PageTable{size};
  for (uint64_t i = 0; i < size; ++i) {
    Page* page = i < old_size ? old->pages()[i].load(std::memory_order_relaxed) : nullptr;
    new (table->pages() + i) std::atomic<Page*>(page);
  }
  Charge(static_cast<int64_t>(PageTable::Bytes(size)));
  pages_.store(table, std::memory_order_release);
  if (old != nullptr) {
    Charge(-static_cast<int64_t>(PageTable::Bytes(old_size)));
    memory_.Retire(old, PageTable::Bytes(old_size), step);
  }
  return table;
}

StateRow* RowStore::RowFor(uint32_t number, Step step) {
  PageTable* table = pages_.load(std::memory_order_relaxed);
  const uint64_t index = number / kPageRows;
  if (table == nullptr || index >= table->size) table = GrowPages(number, step);
  Page* page = table->pages()[index].load(std::memory_order_relaxed);
  if (page == nullptr) {
    page = new (memory_.Allocate(sizeof(Page))) Page;
    Charge(sizeof(Page));
    table->pages()[index].store(page, std::memory_order_release);
  }
  numbers_ = std::max(numbers_, number + 1);
  return &page->rows[number % kPageRows];
}

void RowStore::PrefetchRow(uint32_t number) const {
  if (const StateRow* row = RowAt(number)) __builtin_prefetch(row);
}

void RowStore::PrefetchChunk(uint32_t number) const {
  const StateRow* row = RowAt(number);
  if (row == nullptr) return;
  const auto [chunk, count] = row->Open();
  __builtin_prefetch(row->Past());
  if (chunk == nullptr) return;
  __builtin_prefetch(chunk);
  __builtin_prefetch(chunk->times(layout_) + count, 1);
}

void RowStore::PrefetchOldest(uint32_t number) const {
  const StateRow* row = number < numbers_ ? RowAt(number) : nullptr;
  if (row == nullptr) return;
  __builtin_prefetch(row->Past());
  if (const RowChunk* chunk = row->Open().first) __builtin_prefetch(chunk->times(layout_));
}

void RowStore::PrefetchRows(uint32_t number) const {
  const StateRow* row = RowAt(number);
  if (row == nullptr) return;
  const auto [chunk, count] = row->Open();
  if (chunk == nullptr) return;
  chunk->Prefetch(layout_, chunk->capacity(), count);
  const KeyPast* past = row->Past();
  if (past == nullptr) return;
  if (past->tree.root != nullptr) PrefetchNode(past->tree.root);
  __builtin_prefetch(past->tiles);
}

void RowStore::PrefetchEdgeNode(uint32_t number, int64_t edge) const {
  const StateRow* row = RowAt(number);
  const KeyPast* past = row == nullptr ? nullptr : row->Past();
  if (past == nullptr) return;
  if (past->tiles != nullptr) {
    __builtin_prefetch(past->tiles->array);
    edge = std::max(edge, past->tiles->until - 1);
  }
  if (past->tree.height > 1) PrefetchNode(LeafCursor::LastNode(past->tree, edge));
}

void RowStore::PrefetchEdgeChunk(uint32_t number, int64_t edge) const {
  const StateRow* row = RowAt(number);
  const KeyPast* past = row == nullptr ? nullptr : row->Past();
  if (past == nullptr) return;
  if (past->tiles != nullptr) {
    PrefetchTilesAfter(tiles_->layout, *past->tiles, edge);
    edge = std::max(edge, past->tiles->until - 1);
  }
  if (past->tree.empty()) return;
  const auto at = LeafCursor::After(past->tree, edge);
  const size_t slots = layout_.plan().slots().size();
  for (uint32_t level = 0; level < std::min(2U, past->tree.height); ++level) {
    const LeafCursor::OnWay& way = at.step(level);
    __builtin_prefetch(way.node->partials() + std::min(way.index, way.end - 1) * slots);
    __builtin_prefetch(way.node->partials() + (way.end - 1) * slots);
  }
  if (at.at_end()) return;
  // Most sealed chunks are full ones.
  __builtin_prefetch(at.chunk());
  at.chunk()->Prefetch(layout_, RowChunk::kCapacityMax, RowChunk::kCapacityMax);
}

void RowStore::PrefetchNewest(uint32_t number, Step step) const {
  const StateRow* row = RowAt(number);
  const auto version = row == nullptr ? std::nullopt : row->VersionAt(step);
  if (!version) return;
  __builtin_prefetch(StateRow::PastOf(*version));
  const uint32_t count = StateRow::OpenCountOf(*version);
  if (const RowChunk* open = StateRow::OpenOf(*version)) {
    __builtin_prefetch(open);
    open->Prefetch(layout_, RowChunk::CapacityFor(count), count);
  }
}

void RowStore::PrefetchTree(uint32_t number, Step step) const {
  const StateRow* row = RowAt(number);
  const auto version = row == nullptr ? std::nullopt : row->VersionAt(step);
  const KeyPast* past = version ? StateRow::PastOf(*version) : nullptr;
  if (past == nullptr) return;
  if (past->tree.root != nullptr) PrefetchNode(past->tree.root);
  __builtin_prefetch(past->tiles);
}

std::optional<RowImage> RowStore::Find(uint32_t number, Step step) const {
  const StateRow* row = RowAt(number);
  if (row == nullptr) return std::nullopt;
  return row->Find(step, layout_, tiled());
}

std::optional<RowImage> RowStore::Newest(uint32_t number) const {
  const StateRow* row = RowAt(number);
  if (row == nullptr || row->is_nothing()) return std::nullopt;
  return row->Newest(layout_, tiled());
}

const KeyPast* RowStore::PastOf(const RowImage& image, const KeyPast* before) {
  if (image.is_nothing()) return nullptr;
  const bool in_rows = image.tree.empty() && image.tiles == nullptr && !image.empty() &&
                       image.dropped_time == RowImage::kNever &&
                       image.first_time == image.open->times(layout_)[0];
  if (in_rows) return nullptr;
  int64_t oldest_until = image.tree.empty() ? RowImage::kNever : image.oldest_until;
  if (tiles_) oldest_until = image.fold_wait;
  const KeyPast past{.tree = image.tree,
                     .first_time = image.first_time,
                     .dropped_time = image.dropped_time,
                     .oldest_until = oldest_until,
                     .tiles = image.tiles};
  if (before != nullptr && *before == past) return before;
  Charge(sizeof(KeyPast));
  return new (memory_.Allocate(sizeof(KeyPast))) KeyPast(past);
}

void RowStore::Publish(StateRow& row, const RowImage& image, Step step) {
  const KeyPast* before = row.Past();
  const KeyPast* past = PastOf(image, before);
  row.Publish(image.open, image.open_count, past, step, undo_);
  if (before == nullptr || before == past) return;
  Charge(-static_cast<int64_t>(sizeof(KeyPast)));
  memory_.Retire(const_cast<KeyPast*>(before), sizeof(KeyPast), step);
}

int64_t RowStore::OldestUntil(const RowImage& image) {
  return image.tree.empty() ? image.newest_time : LeafCursor::First(image.tree).last_time();
}

RowImage RowStore::Append(uint32_t number, const BatchRows& batch, std::span<const uint32_t> rows,
                          base::Timestamp clock, Step step) {
  StateRow* row = RowFor(number, step);
  if (row->is_nothing()) keys_.fetch_add(1, std::memory_order_relaxed);
  Edit edit{row->Newest(layout_, tiled()), clock.us, step};
  edit.image.first_time = std::min(edit.image.first_time, batch.times[rows.front()]);
  rows = SkipForgotten(edit, batch, rows);
  if (edit.image.tiles != nullptr) rows = AddToTiles(edit, batch, rows);
  if (!rows.empty() && !edit.image.empty()) {
    const int64_t newest = edit.image.newest_time;
    const auto fresh = std::partition_point(rows.begin(), rows.end(),
                                            [&](uint32_t r) { return batch.times[r] < newest; });
    const auto late = static_cast<size_t>(fresh - rows.begin());
    if (late > 0) InsertLate(edit, batch, rows.first(late));
    rows = rows.subspan(late);
  }
  AppendFresh(edit, batch, rows);
  // Where the newest rows have to be counted, or the first chunk is not known, that is done once a
  // chunk.
  if (retention_.newest_rows == 0 && tiles_ == nullptr) DropOld(edit);
  Publish(*row, edit.image, step);
  return edit.image;
}

// In other views an old row may be among the newest that there are.
std::span<const uint32_t> RowStore::SkipForgotten(Edit& edit, const BatchRows& batch,
                                                  std::span<const uint32_t> rows) {
  if (!retention_.by_time_alone()) return rows;
  const int64_t forgotten = edit.forgotten(retention_);
  while (!rows.empty() && batch.times[rows.front()] <= forgotten) {
    edit.image.dropped_time = std::max(edit.image.dropped_time, batch.times[rows.front()]);
    rows = rows.subspan(1);
  }
  return rows;
}

void RowStore::AppendFresh(Edit& edit, const BatchRows& batch, std::span<const uint32_t> rows) {
  while (!rows.empty()) {
    RowImage& image = edit.image;
    if (image.empty() || image.open_count == image.open->capacity()) {
      DropOld(edit);
      Fold(edit);
      // The boundary may have passed some of them.
      if (image.tiles != nullptr) rows = AddToTiles(edit, batch, rows);
      if (rows.empty()) break;
      MakeRoom(edit, rows.size());
    }
    const size_t count = std::min<size_t>(rows.size(), image.open->capacity() - image.open_count);
    image.open->Append(layout_, image.open_count, batch, rows.first(count), memory_);
    image.open_count += static_cast<uint32_t>(count);
    image.newest_time = batch.times[rows[count - 1]];
    if (image.tree.empty()) image.oldest_until = image.newest_time;
    CountRows(static_cast<int64_t>(count));
    rows = rows.subspan(count);
  }
}

// The open chunk is full, or there is none.
void RowStore::MakeRoom(Edit& edit, size_t rows) {
  RowImage& image = edit.image;
  if (image.empty()) return PushChunk(edit, NewChunk(RowChunk::CapacityFor(rows)), 0);
  if (Compact(edit) && image.open_count < image.open->capacity()) return;
  RowChunk* full = image.open;
  if (full->capacity() == RowChunk::kCapacityMax)
    return PushChunk(edit, NewChunk(RowChunk::kCapacityMax), 0);
  image.open = NewChunk(RowChunk::CapacityFor(image.open_count + rows));
  image.open->AppendFrom(layout_, 0, *full, 0, image.open_count);
  RetireChunk(full, edit.step);
}

void RowStore::PushChunk(Edit& edit, RowChunk* chunk, uint32_t count) {
  if (!edit.image.empty()) SealOpen(edit);
  edit.image.open = chunk;
  edit.image.open_count = count;
}

void RowStore::SealOpen(Edit& edit) {
  tree_.Append(edit.image.tree, tree_.Seal(edit.image.open, edit.image.open_count), edit.step);
  Charge(tree_.TakeBytesChange());
}

bool RowStore::DropOld(Edit& edit) {
  const int64_t forgotten = edit.forgotten(retention_);
  bool dropped = false;
  if (tiles_) {
    edit.image.oldest_until = OldestUntil(edit.image);
    const TileRun* before = edit.image.tiles;
    edit.image.tiles = tiles_->writer.DropUpTo(before, forgotten, edit.step);
    ChargeTiles();
    dropped = edit.image.tiles != before;
  }
  while (!edit.image.empty() && edit.image.oldest_until <= forgotten) {
    if (!retention_.by_time_alone() && !NewerRowsSuffice(edit)) break;
    DropChunk(edit);
    dropped = true;
  }
  return dropped;
}

void RowStore::DropChunk(Edit& edit) {
  RowImage& image = edit.image;
  const bool open = image.tree.empty();
  RowChunk* chunk = open ? image.open : LeafCursor::First(image.tree).chunk();
  const uint32_t count = open ? image.open_count : chunk->count();
  image.dropped_time = std::max(image.dropped_time, image.oldest_until);
  RetireTexts(*chunk, RowsBelow(count), edit.step);
  CountRows(-static_cast<int64_t>(count));
  RetireChunk(chunk, edit.step);
  if (open) {
    image.open = nullptr;
    image.open_count = 0;
    return;
  }
  tree_.DropFirst(image.tree, edit.step);
  Charge(tree_.TakeBytesChange());
  image.oldest_until = OldestUntil(image);
}

bool RowStore::Forget(Edit& edit) {
  if (!retention_.keys || !edit.image.empty() || edit.image.tiles != nullptr) return false;
  if (edit.image.dropped_time > (base::Timestamp{edit.clock} - *retention_.keys).us) return false;
  edit.image = {};
  keys_.fetch_sub(1, std::memory_order_relaxed);
  return true;
}

size_t RowStore::Sweep(size_t keys, base::Timestamp clock, Step step) {
  size_t forgotten = 0;
  for (size_t i = 0; i < std::min<size_t>(keys, numbers_); ++i) {
    sweep_next_ = sweep_next_ + 1 < numbers_ ? sweep_next_ + 1 : 0;
    PrefetchOldest(sweep_next_ + kSweptAhead);
    auto* row = const_cast<StateRow*>(RowAt(sweep_next_));
    if (row == nullptr || row->is_nothing()) continue;
    Edit edit{row->Newest(layout_, tiled()), clock.us, step};
    bool changed = DropOld(edit);
    if (Forget(edit)) {
      ++forgotten;
      changed = true;
    }
    // Keys that fell silent have no full chunk any more that would have their rows folded.
    if (tiles_ && !retention_.horizon) changed = Fold(edit) || changed;
    if (changed) Publish(*row, edit.image, step);
  }
  return forgotten;
}

RowChunk* RowStore::NewChunk(uint32_t capacity) {
  RowChunk* chunk = RowChunk::Make(layout_, capacity, memory_);
  Charge(static_cast<int64_t>(chunk->Bytes(layout_)));
  return chunk;
}

void RowStore::RetireChunk(RowChunk* chunk, Step step) {
  Charge(-static_cast<int64_t>(chunk->Bytes(layout_)));
  memory_.Retire(chunk, chunk->Bytes(layout_), step);
}

void RowStore::RetireTexts(const RowChunk& chunk, RowMask rows, Step step) {
  if (!layout_.has_text()) return;
  for (size_t i = 0; i < layout_.arguments(); ++i) {
    if (layout_.kind(i) != CellKind::kText) continue;
    const uint64_t* cells = chunk.cells(layout_, i);
    ForEachRow(rows, [&](uint32_t row) {
      if (!TextCell::IsOutside(cells[row])) return;
      memory_.Retire(TextCell::BlobOf(cells[row]), TextCell::BlobBytes(TextCell::Read(cells[row])),
                     step);
    });
  }
}

}  // namespace headrace::pipeline
