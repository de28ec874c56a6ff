#pragma once
// The rows of one view, by the dense number of their key: appended in steps, kept as long as an
// answer may need them.
//
// Append, for the rows of one key in an epoch, sorted by (event time, position):
// 1. rows too old for any answer only leave their event time behind;
// 2. rows older than the key's newest one go into copies of the chunks that they belong to
// (late_rows.cc);
// 3. the others are appended to the open chunk; a full one is copied to twice the size up to 64
// rows, then sealed and put into the key's tree;
// 4. chunks that no answer can need are dropped, and of a view with tiles rows that no answer needs
// to tell apart are folded into them (folding.cc).
// The result is published as the step's version of the state row. What readers of the step before
// still see is only retired.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "columns/batch_codec.h"
#include "pipeline/state/row_tree.h"
#include "pipeline/state/state_row.h"

namespace headrace::pipeline {

// How long rows are kept: those with event time > clock - horizon, and the newest `newest_rows` at
// or before it.
struct Retention {
  std::optional<base::Duration> horizon = base::Duration(0);  // nothing: for ever
  uint32_t newest_rows = 0;
  // Rows with event time < clock - settled may be in tiles: every question ends at or after it.
  struct Tiles {
    base::Duration settled{0};
    std::optional<base::Duration> precision;  // nothing: one tile for all time
  };
  std::optional<Tiles> tiles = {};
  // A key without a row with event time > clock - keys is forgotten. At least the horizon; nothing:
  // none ever is.
  std::optional<base::Duration> keys = {};

  // Whether an old row is needed depends on time alone.
  bool by_time_alone() const { return newest_rows == 0; }
};

// What a view's tiles take, and what was put into them since the start.
struct TileFigures {
  uint64_t bytes = 0;
  uint64_t folds = 0;      // times at which rows of a key became tiles
  uint64_t rows = 0;       // that did
  uint64_t late_rows = 0;  // that came for a tile that was there: each time its key's run is copied
  uint64_t drafted_rows = 0;  // that tiles were made of to see what they take, each time again
};

// One thread writes; any thread finds, holding a pin.
class RowStore {
 public:
  static constexpr uint32_t kPageRows =
      256;  // keys of neighbouring numbers, side by side in memory

  // `plan` and `memory` outlive it.
  RowStore(const AggregatePlan& plan, Retention retention, StateMemory& memory);
  ~RowStore();
  RowStore(const RowStore&) = delete;
  RowStore& operator=(const RowStore&) = delete;

  // Writer: `rows` of `batch` belong to key `number`, by (event time, row). `clock` is the epoch's.
  // The version that they are in.
  RowImage Append(uint32_t number, const BatchRows& batch, std::span<const uint32_t> rows,
                  base::Timestamp clock, Step step);
  // Writer: asks for the memory that Append will touch. Each stage reads what the one before asked
  // for, so they are called with some other keys' work between them.
  void PrefetchRow(uint32_t number) const;
  void PrefetchChunk(uint32_t number) const;
  // Writer: asks for what answers about a key look at. Each again reads what the one before asked
  // for: the open rows and the root; the node, and then the chunk, in which a window begins.
  void PrefetchRows(uint32_t number) const;
  void PrefetchEdgeNode(uint32_t number, int64_t edge) const;
  void PrefetchEdgeChunk(uint32_t number, int64_t edge) const;
  // Any thread, under a pin: asks for the key's newest rows as readers of this step see them. It
  // reads what PrefetchRow, which any thread may call, has asked for.
  void PrefetchNewest(uint32_t number, Step step) const;
  // The same for what that has asked for: the root of the key's tree, or its tiles.
  void PrefetchTree(uint32_t number, Step step) const;
  // Writer: drops what is not needed any more of the next `keys` keys, round and round, and
  // forgets those whose time has come. How many that were.
  size_t Sweep(size_t keys, base::Timestamp clock, Step step);
  // As Retention::keys.
  std::optional<base::Duration> keys_kept() const { return retention_.keys; }
  // Whether readers of `step` and every later one find nothing of the key. Writer.
  bool IsUnused(uint32_t number, Step step) const {
    const StateRow* row = RowAt(number);
    return row == nullptr || (row->is_nothing() && row->newest_step() <= step);
  }

  // row_bytes.cc: a key as bytes, for snapshots.
  // Where the encoding of a key's image stands: large keys are written in several pieces.
  struct EncodeCursor {
    LeafCursor leaf;  // the next one; at its end: the open chunk
    bool begun = false;
  };
  // Appends a piece of at least one chunk, and of about `bytes` while there are more. True when the
  // key is complete. Beside the writer, under a hold of the image's step.
  bool EncodeKey(const RowImage& image, EncodeCursor& cursor, size_t bytes,
                 std::vector<uint8_t>& out) const;
  // Reads a piece. Writer, before the first Append; the rows are those of step `step`. Errors:
  // kCorruption; the key is then as it was, and what was read is freed.
  base::Result<void> RestoreKey(uint32_t number, columns::ByteReader& in, Step step);

  // The version of key `number` at `step`. Any thread.
  std::optional<RowImage> Find(uint32_t number, Step step) const;
  // The newest version; nothing when the key has no rows in this view. Writer.
  std::optional<RowImage> Newest(uint32_t number) const;

  const ChunkLayout& layout() const { return layout_; }
  // An image's tiles, to be added to windows.
  TilesBack TilesOf(const RowImage& image) const {
    return tiles_ ? TilesBack(&tiles_->layout, image.tiles) : TilesBack();
  }
  uint64_t keys() const { return keys_.load(std::memory_order_relaxed); }
  uint64_t rows() const { return rows_.load(std::memory_order_relaxed); }
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed) + undo_.bytes(); }
  // Nothing for a view that has none by its definition. Any thread.
  std::optional<TileFigures> tile_figures() const;

 private:
  struct Page {
    std::array<StateRow, kPageRows> rows;
  };
  struct PageTable {  // followed by `size` page addresses
    uint64_t size;
    std::atomic<Page*>* pages() { return reinterpret_cast<std::atomic<Page*>*>(this + 1); }
    static size_t Bytes(uint64_t size) {
      return sizeof(PageTable) + size * sizeof(std::atomic<Page*>);
    }
  };
  // What Append and its parts work on: the version in the making.
  struct Edit {
    RowImage image;
    int64_t clock;
    Step step;
    int64_t forgotten(
        const Retention& retention) const;  // rows up to this event time are beyond every window
  };

  Tiled tiled() const { return tiles_ ? Tiled::kYes : Tiled::kNo; }
  StateRow* RowFor(uint32_t number, Step step);
  void Publish(StateRow& row, const RowImage& image, Step step);
  // What the image has behind its open chunk; null for nothing. `before`: what the row has; it is
  // the result if it is the same.
  const KeyPast* PastOf(const RowImage& image, const KeyPast* before);
  const StateRow* RowAt(uint32_t number) const;
  void PrefetchOldest(uint32_t number) const;
  PageTable* GrowPages(uint32_t number, Step step);
  std::span<const uint32_t> SkipForgotten(Edit& edit, const BatchRows& batch,
                                          std::span<const uint32_t> rows);
  void AppendFresh(Edit& edit, const BatchRows& batch, std::span<const uint32_t> rows);
  void MakeRoom(Edit& edit, size_t rows);
  // The open chunk goes into the tree, and `chunk` is the open one.
  void PushChunk(Edit& edit, RowChunk* chunk, uint32_t count);
  void SealOpen(Edit& edit);
  // Whether it dropped a chunk.
  bool DropOld(Edit& edit);
  // Whether nothing is left of the key, and it is forgotten.
  bool Forget(Edit& edit);
  void DropChunk(Edit& edit);
  // Event time of the last row of the first chunk.
  static int64_t OldestUntil(const RowImage& image);

  base::Result<std::vector<RowChunk::Decoded>> DecodeChunks(columns::ByteReader& in);

  // late_rows.cc
  struct Piece {
    RowChunk* chunk;
    uint32_t count;
  };
  void InsertLate(Edit& edit, const BatchRows& batch, std::span<const uint32_t> rows);
  std::vector<Piece> Merge(const RowChunk& old, uint32_t old_count, const BatchRows& batch,
                           std::span<const uint32_t> rows);

  // compaction.cc
  bool Compact(Edit& edit);
  bool NewerRowsSuffice(const Edit& edit) const;
  static std::vector<Piece> ChunksOf(const RowImage& image);

  // folding.cc
  struct Foldable;
  bool Fold(Edit& edit);
  bool WaitToFold(Edit& edit, const Foldable& rows) const;
  int64_t BoundaryOf(const Edit& edit) const;
  bool IsDense(const Piece& piece) const;
  bool MayFold(const Edit& edit, int64_t until) const;
  Foldable FindFoldable(const Edit& edit) const;
  bool FoldPays(const Edit& edit, const Foldable& rows) const;
  std::vector<TileDraft> DraftTiles(const Edit& edit, const Foldable& rows);
  std::span<const uint32_t> AddToTiles(Edit& edit, const BatchRows& batch,
                                       std::span<const uint32_t> rows);

  void ChargeTiles();

  RowChunk* NewChunk(uint32_t capacity);
  void RetireChunk(RowChunk* chunk, Step step);
  void RetireTexts(const RowChunk& chunk, RowMask rows, Step step);
  void Charge(int64_t bytes) {
    bytes_.fetch_add(static_cast<uint64_t>(bytes), std::memory_order_relaxed);
  }
  void CountRows(int64_t rows) {
    rows_.fetch_add(static_cast<uint64_t>(rows), std::memory_order_relaxed);
  }

  const ChunkLayout layout_;
  const Retention retention_;
  StateMemory& memory_;
  TreeWriter tree_;
  UndoLog undo_;
  // Of a view with tiles.
  struct Tiles {
    Tiles(const AggregatePlan& plan, const Retention::Tiles& rule, StateMemory& memory)
        : layout(plan, rule.precision), writer(layout, memory), rows(plan) {}
    TileLayout layout;
    TileWriter writer;
    Accumulators rows;  // scratch
    // As TileFigures.
    std::atomic<uint64_t> bytes{0};
    std::atomic<uint64_t> folds{0};
    std::atomic<uint64_t> folded_rows{0};
    std::atomic<uint64_t> late_rows{0};
    std::atomic<uint64_t> drafted_rows{0};
  };
  std::unique_ptr<Tiles> tiles_;
  std::atomic<PageTable*> pages_{nullptr};
  uint32_t numbers_ = 0;                      // numbers below it may have rows
  static constexpr uint32_t kSweptAhead = 8;  // whose rows are asked for
  uint32_t sweep_next_ = 0;
  std::atomic<uint64_t> keys_{0};
  std::atomic<uint64_t> rows_{0};
  std::atomic<uint64_t> bytes_{0};
};

}  // namespace headrace::pipeline
