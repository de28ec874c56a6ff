#pragma once
// What is left of those of a key's rows that need not be told apart any more: a tile for each span
// of the view's precision that has rows, counted from 1970-01-01, with what was accumulated over
// them. A view without windows has one tile for all time. A sorted run of tiles, all before the
// rows that are kept: rows before `until` are in tiles, whether they are still in chunks or not.
//
// A tile is its start and a record (aggregates/tile_record.h). What no record holds (texts,
// buckets, registers, sums that are beyond it) is bytes beside it. Readers hold a TileRun, a value
// that never changes: tiles come behind the end that it knows, or into a copy of the array.

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/time.h"
#include "pipeline/aggregates/tile_record.h"
#include "pipeline/state/state_memory.h"

namespace headrace::pipeline {

// Which tile a row is in, and where a tile keeps what. Immutable.
class TileLayout {
 public:
  // `plan` outlives it. Without a precision: one tile for all time.
  TileLayout(const AggregatePlan& plan, std::optional<base::Duration> precision)
      : plan_(&plan), records_(plan), precision_us_(precision ? precision->count() : 0) {}

  const AggregatePlan& plan() const { return *plan_; }
  const TileRecords& records() const { return records_; }
  // Of the tile that a row of this time is in.
  int64_t StartOf(int64_t time) const;
  // The latest time up to `time` that no tile has on both sides.
  int64_t BoundaryUpTo(int64_t time) const;
  // How many tiles there may be, at most, that begin after `edge` and not after `last`.
  uint64_t TilesBetween(int64_t edge, int64_t last) const;
  // No row at or after it is in the tile.
  int64_t EndOf(int64_t start) const;
  // The least that a tile takes.
  size_t tile_bytes() const;

 private:
  const AggregatePlan* plan_;
  TileRecords records_;
  int64_t precision_us_;  // 0: none
};

// What a tile has beside its record.
struct TileBytes {
  uint32_t size;
  // Everything, and the record counts for nothing; else only what has no place in a record.
  bool whole;
  std::span<const uint8_t> bytes() const {
    return {reinterpret_cast<const uint8_t*>(this + 1), size};
  }
};

// Room for tiles, in columns: starts, bytes beside the records if there are any, records.
class TileArray {
 public:
  static size_t Bytes(const TileLayout& layout, uint32_t capacity, bool has_more);
  uint32_t capacity() const { return capacity_; }
  bool has_more() const { return has_more_; }
  int64_t* starts() { return reinterpret_cast<int64_t*>(this + 1); }
  const int64_t* starts() const { return reinterpret_cast<const int64_t*>(this + 1); }
  // Null for none; only if the array has_more().
  const TileBytes** more() { return reinterpret_cast<const TileBytes**>(starts() + capacity_); }
  const TileBytes* more(uint32_t at) const {
    if (!has_more_) return nullptr;
    return reinterpret_cast<const TileBytes* const*>(starts() + capacity_)[at];
  }
  uint8_t* records() {
    return reinterpret_cast<uint8_t*>(starts() + capacity_ * (has_more_ ? 2 : 1));
  }
  const uint8_t* records() const { return const_cast<TileArray*>(this)->records(); }

 private:
  friend class TileWriter;
  TileArray(uint32_t capacity, bool has_more) : capacity_(capacity), has_more_(has_more) {}
  uint32_t capacity_;
  bool has_more_;
};
static_assert(sizeof(TileArray) == sizeof(uint64_t));

// A version's tiles: [begin, end) of an array. At least one.
struct TileRun {
  TileArray* array;
  uint32_t begin;
  uint32_t end;
  int64_t until;  // every row of the key before it is in a tile, or older than any window
};

// The first tile of [begin, next) that begins after `edge`, or next.
uint32_t FirstTileAfter(const TileLayout& layout, const TileRun& run, uint32_t next, int64_t edge);
// Asks for the memory that the above and TilesBack will look at.
void PrefetchTilesAfter(const TileLayout& layout, const TileRun& run, int64_t edge);

// Adds a run's tiles to windows that reach back further and further. One question's.
class TilesBack {
 public:
  TilesBack() = default;
  // Both outlive it; a null run has no tiles.
  TilesBack(const TileLayout* layout, const TileRun* run)
      : layout_(layout), run_(run), next_(run == nullptr ? 0 : run->end) {}
  bool empty() const { return run_ == nullptr; }
  // Rows with event times before it are in the tiles.
  int64_t until() const { return run_->until; }
  // Adds the tiles that begin after `edge` and were not added yet.
  void AddAfter(int64_t edge, Accumulators& into);
  // The same of an additive plan; a tile with bytes beside its record does not fit.
  void AddAfter(int64_t edge, AdditiveSums& into);

 private:
  // Adds their records, and what is beside each that has something.
  template <typename Into, typename AddMore>
  void AddAfter(int64_t edge, Into& into, AddMore add_more);

  const TileLayout* layout_ = nullptr;
  const TileRun* run_ = nullptr;
  uint32_t next_ = 0;  // tiles from here on were added
};

// A tile in the making.
struct TileDraft {
  int64_t start;
  std::vector<SlotPartial> partials;  // empty: everything is in `more`
  std::vector<uint8_t> more;
};

// Makes and changes runs; those that readers hold stay as they are. Applier only.
class TileWriter {
 public:
  // Both outlive it.
  TileWriter(const TileLayout& layout, StateMemory& memory) : layout_(layout), memory_(memory) {}

  TileDraft DraftOf(int64_t start, const Accumulators& rows) const;
  // What they will take in a run.
  size_t BytesOf(std::span<const TileDraft> drafts) const;
  // Adds what is in the run's tile of this start, if there is one.
  void Merge(const TileRun* run, int64_t start, Accumulators& into) const;
  // A run with the drafts, ascending, in place of the tiles with their starts. `run`, which may be
  // null, is retired.
  const TileRun* Put(const TileRun* run, std::span<const TileDraft> drafts, int64_t until,
                     Step step);
  // A run without the tiles that have no row after `time`; null for none. `run`, unless it is the
  // result, is retired.
  const TileRun* DropUpTo(const TileRun* run, int64_t time, Step step);
  // Retires it with all its tiles. Null is nothing.
  void Clear(const TileRun* run, Step step);

  // tile_bytes.cc: what a snapshot keeps. Errors of Decode: kCorruption.
  void Encode(const TileRun& run, std::vector<uint8_t>& out) const;
  base::Result<const TileRun*> Decode(columns::ByteReader& in, Step step);

  // Of what was made and not retired; change since it was last asked.
  int64_t TakeBytesChange() { return std::exchange(bytes_change_, 0); }

 private:
  void* Allocate(size_t bytes);
  void Retire(const void* memory, size_t bytes, Step step);
  void RetireMore(const TileBytes* more, Step step);
  void RetireArray(TileArray* array, Step step);
  TileArray* NewArray(uint32_t capacity, bool has_more);
  const TileRun* NewRun(const TileRun& run);
  void Write(TileArray& array, uint32_t at, const TileDraft& draft);
  void Copy(const TileArray& from, uint32_t index, TileArray& array, uint32_t at) const;
  const TileRun* Rebuild(const TileRun* run, std::span<const TileDraft> drafts, int64_t until,
                         Step step);

  const TileLayout& layout_;
  StateMemory& memory_;
  int64_t bytes_change_ = 0;
};

}  // namespace headrace::pipeline
