#pragma once
// Up to 64 rows of one key in columns: times, positions, argument cells, null and truth bits. Rows
// are appended in (event time, position) order and never change, so a reader that knows how many
// rows its version has may read while more are appended. A chunk that is no longer its key's last
// one is sealed: it has its rows for ever, and a place in the key's tree, which keeps the partial
// aggregates over them.

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "columns/batch_codec.h"
#include "columns/column.h"
#include "columns/position.h"
#include "pipeline/aggregates/accumulator.h"
#include "pipeline/state/state_memory.h"

namespace headrace::pipeline {

// Where a view's chunks keep what. Immutable.
class ChunkLayout {
 public:
  explicit ChunkLayout(const AggregatePlan& plan);
  const AggregatePlan& plan() const { return *plan_; }
  size_t arguments() const { return cells_.size(); }
  CellKind kind(size_t argument) const { return cells_[argument]; }
  bool has_text() const { return has_text_; }
  // Of a row in a chunk, without the bits and longer texts.
  size_t row_bytes() const { return (2 + cell_columns_) * sizeof(uint64_t); }

 private:
  friend class RowChunk;
  const AggregatePlan* plan_;
  std::vector<CellKind> cells_;
  std::vector<uint32_t> cell_column_;  // of an argument among the cell columns; bools have none
  uint32_t cell_columns_ = 0;
  std::vector<uint32_t>
      truth_word_;      // of an argument among the words of bits; bools alone have one
  uint32_t words_ = 0;  // of bits, all arguments' null bits first
  bool has_text_ = false;
  size_t fixed_bytes_ = 0;  // before the times
};

// Rows of a batch that are to be appended: their times and arguments, by row number.
struct BatchRows {
  std::span<const int64_t> times;
  base::EpochId epoch;  // row i stands at (epoch, i), unless `positions` says where
  std::span<const columns::Column> arguments;
  std::span<const columns::Position> positions = {};
};

// Made and filled by the applier. `count` of rows is given by whoever asks: the state row's version
// for the last chunk, the chunk itself for sealed ones.
class RowChunk {
 public:
  static constexpr uint32_t kCapacityMax = kBlockRows;

  // The least capacity that holds `rows` (at most kCapacityMax of them): 1, 2, 3, 4, 6, 8, 12 ...
  static uint32_t CapacityFor(size_t rows);
  static RowChunk* Make(const ChunkLayout& layout, uint32_t capacity, StateMemory& memory);
  size_t Bytes(const ChunkLayout& layout) const { return BytesFor(layout, capacity_); }

  // Applier: appends after the first `at` rows; there is room. Long texts are allocated from
  // `memory`.
  void Append(const ChunkLayout& layout, uint32_t at, const BatchRows& batch,
              std::span<const uint32_t> rows, StateMemory& memory);
  // Applier: appends rows [begin, end) of another chunk; long texts are shared, so only one of the
  // two chunks may drop them.
  void AppendFrom(const ChunkLayout& layout, uint32_t at, const RowChunk& from, uint32_t begin,
                  uint32_t end);
  // Applier: after this the chunk has `count` rows for ever.
  void Seal(uint32_t count) { count_ = count; }

  // Appends the first `count` rows to `out`, and what was accumulated over them, unless that is
  // empty. Beside the applier, under a hold. row_bytes.cc has the layout.
  void Encode(const ChunkLayout& layout, uint32_t count, std::span<const SlotPartial> partials,
              std::vector<uint8_t>& out) const;
  // Makes a chunk of what Encode wrote. Applier. Errors: kCorruption for lengths that lie.
  struct Decoded {
    RowChunk* chunk;
    uint32_t count;
    std::vector<SlotPartial> partials;  // empty when they were not written, or not of this plan
  };
  static base::Result<Decoded> Decode(const ChunkLayout& layout, columns::ByteReader& in,
                                      StateMemory& memory);
  // Applier: gives a decoded chunk back with its texts, at once: no reader has seen it.
  void FreeUnseen(const ChunkLayout& layout, uint32_t count, StateMemory& memory);

  uint32_t capacity() const { return capacity_; }
  // Of a sealed chunk.
  uint32_t count() const { return count_; }

  const int64_t* times(const ChunkLayout& layout) const;
  const uint64_t* positions(const ChunkLayout& layout) const;
  // What rows [begin, end) have outside of the chunk.
  size_t TextBytes(const ChunkLayout& layout, uint32_t begin, uint32_t end) const;
  // Null for a bool.
  const uint64_t* cells(const ChunkLayout& layout, size_t argument) const;
  // Asks for the times of the first `rows` rows and for some of their cells, without looking at the
  // chunk: `capacity` is a guess.
  void Prefetch(const ChunkLayout& layout, uint32_t capacity, uint32_t rows) const;
  // The rows as aggregates want them; `arguments` has layout.arguments() elements and lives as long
  // as the block.
  RowBlock Block(const ChunkLayout& layout, ArgumentBlock* arguments) const;

 private:
  explicit RowChunk(uint32_t capacity) : capacity_(capacity) {}
  static size_t BytesFor(const ChunkLayout& layout, uint32_t capacity);
  void AppendArgument(const ChunkLayout& layout, size_t argument, uint32_t at,
                      const columns::Column& column, std::span<const uint32_t> rows,
                      StateMemory& memory);
  // Null bits of the arguments, and truth bits of those that are bools: shared words, as neighbours
  // of visible rows are still being appended.
  std::atomic<uint64_t>* words() { return reinterpret_cast<std::atomic<uint64_t>*>(this + 1); }
  const std::atomic<uint64_t>* words() const {
    return reinterpret_cast<const std::atomic<uint64_t>*>(this + 1);
  }
  base::Result<void> DecodeColumns(const ChunkLayout& layout, uint32_t count,
                                   columns::ByteReader& in);
  base::Result<void> DecodeTexts(const ChunkLayout& layout, uint32_t count, columns::ByteReader& in,
                                 StateMemory& memory);
  template <typename T>
  T* At(size_t offset) const {
    return reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(this) + offset);
  }
  size_t ColumnOffset(const ChunkLayout& layout, size_t column) const {
    return layout.fixed_bytes_ + column * capacity_ * sizeof(uint64_t);
  }

  uint32_t capacity_;
  uint32_t count_ = 0;
};
static_assert(sizeof(RowChunk) == sizeof(uint64_t));

}  // namespace headrace::pipeline
