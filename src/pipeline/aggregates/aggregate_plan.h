#pragma once
// A view's features compiled to the distinct things that must be accumulated: avg(x) and sum(x)
// share a sum, var_samp(x) adds squares to it, and so on.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "pipeline/aggregates/aggregate_spec.h"
#include "pipeline/aggregates/row_block.h"

namespace headrace::pipeline {

// Something accumulated over rows. `where` and `argument` index the view's arguments.
struct Slot {
  enum class Kind : uint8_t {
    kRows,          // rows, or rows whose argument is not null
    kIntegerSum,    // in 128 bits
    kDoubleSum,     // exact
    kIntegerRange,  // least and greatest
    kDoubleRange,   // in total order: -0.0 below 0.0, NaN above everything
    kBoolRange,
    kTextRange,
    kTruths,          // rows whose condition is true, and not null
    kBuckets,         // the quantile bucket of each row
    kNewest,          // the newest row's time, and its value if there is an argument
    kOldest,          // the oldest row's value
    kIntegerSquares,  // exact
    kDoubleSquares,   // exact
    kDistinct,        // distinct values, or registers
    kNewestRows,      // the newest values, up to `size`
    kOldestRows,
    kFrequencies,   // how often each value occurs
    kRecentValues,  // the different values that occurred last, up to `size`
    // Arguments (cells of numbers) times weights as of the question's time, or weights alone (cells
    // of bools, which are not looked at); exact.
    kDecayed,
  };
  Kind kind;
  CellKind cell = CellKind::kInteger;
  std::optional<size_t> argument;
  std::optional<size_t> where;
  int bits = 0;  // kBuckets: of the mantissa; kDistinct: of the registers' number, 0 for exact
  uint32_t size = 0;
  base::Duration half_life{0};  // kDecayed
  bool operator==(const Slot&) const = default;

  // A partial holds it in a few bytes. The others are read from the rows again.
  bool has_partial() const {
    switch (kind) {
      case Kind::kRows:
      case Kind::kIntegerSum:
      case Kind::kDoubleSum:
      case Kind::kIntegerRange:
      case Kind::kDoubleRange:
      case Kind::kBoolRange:
      case Kind::kTextRange:
      case Kind::kTruths:
      case Kind::kNewest:
      case Kind::kOldest:
      case Kind::kIntegerSquares:
      case Kind::kDoubleSquares: return true;
      case Kind::kBuckets:
      case Kind::kDistinct:
      case Kind::kNewestRows:
      case Kind::kOldestRows:
      case Kind::kFrequencies:
      case Kind::kRecentValues:
      case Kind::kDecayed: break;
    }
    return false;
  }
  // Sets of rows can be taken away from it again, bit for bit: running totals of its partials (sum,
  // count and truths) say what lies between two of them.
  bool is_additive() const {
    return kind == Kind::kRows || kind == Kind::kIntegerSum || kind == Kind::kDoubleSum ||
           kind == Kind::kTruths;
  }
  // What was accumulated can stand for the rows, which may then be forgotten. The others need each
  // row, or how long ago it was.
  bool is_tiled() const {
    switch (kind) {
      case Kind::kNewestRows:
      case Kind::kOldestRows:
      case Kind::kFrequencies:
      case Kind::kRecentValues:
      case Kind::kDecayed: return false;
      default: return true;
    }
  }
  // Of its partial in a tile's record (tile_record.h); 0: it has bytes of its own.
  size_t record_bytes() const {
    switch (kind) {
      case Kind::kRows: return 8;
      case Kind::kTruths: return 16;
      case Kind::kIntegerSum:
      case Kind::kDoubleSum:
      case Kind::kIntegerRange:
      case Kind::kDoubleRange:
      case Kind::kBoolRange: return 24;
      case Kind::kNewest:
      case Kind::kOldest: return argument && cell == CellKind::kText ? 0 : 32;
      case Kind::kIntegerSquares:
      case Kind::kDoubleSquares: return 40;
      default: return 0;
    }
  }
  // Its partials are in snapshots. The others are made again: they were not in the first ones, and
  // some hold addresses of texts.
  bool is_captured() const {
    return is_additive() || kind == Kind::kIntegerRange || kind == Kind::kDoubleRange ||
           kind == Kind::kIntegerSquares || kind == Kind::kDoubleSquares;
  }
};

// Immutable; any thread may use it.
class AggregatePlan {
 public:
  enum class RowCounts : uint8_t { kNotNeeded, kNeeded };
  // `argument_types` are those of the view's arguments, in their order. `row_counts`: partials must
  // say how many rows they are of.
  AggregatePlan(std::span<const AggregateSpec> specs, std::span<const columns::Type> argument_types,
                RowCounts row_counts = RowCounts::kNotNeeded);

  const std::vector<AggregateSpec>& specs() const { return specs_; }
  const std::vector<Slot>& slots() const { return slots_; }
  // The slot that answers feature `feature`.
  size_t slot_of(size_t feature) const { return slot_of_[feature]; }
  // Of a variance: the slot with the squares; slot_of has the sum.
  size_t squares_of(size_t feature) const { return squares_of_[feature]; }
  // The slot that counts all rows; there is one if it was needed.
  size_t row_count_slot() const { return row_count_slot_; }
  const std::vector<columns::Type>& argument_types() const { return argument_types_; }
  // Slots whose rows a sealed chunk must show again.
  bool rereads_rows() const { return rereads_rows_; }
  // Every slot is additive: rows that leave a window can be taken away from its sums.
  bool is_additive() const { return is_additive_; }
  // Every slot that has partials has them in snapshots.
  bool is_captured() const { return is_captured_; }
  // Every slot is tiled.
  bool is_tiled() const {
    return std::ranges::all_of(slots_, [](const Slot& slot) { return slot.is_tiled(); });
  }
  // Every feature is of the newest row: rows older than one that counts change nothing.
  bool only_newest() const { return only_newest_; }

 private:
  size_t AddSlot(const Slot& slot);

  std::vector<AggregateSpec> specs_;
  std::vector<columns::Type> argument_types_;
  std::vector<Slot> slots_;
  std::vector<size_t> slot_of_;
  std::vector<size_t> squares_of_;
  size_t row_count_slot_ = 0;
  bool rereads_rows_ = false;
  bool is_additive_ = false;
  bool is_captured_ = false;
  bool only_newest_ = false;
};

}  // namespace headrace::pipeline
