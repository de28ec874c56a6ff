#pragma once
// The newest or the oldest values of a set of rows, up to a number: what last_n and first_n answer.
// A function of the set, as event time and position order all rows.

#include <cstdint>
#include <vector>

#include "pipeline/aggregates/value_cells.h"

namespace headrace::pipeline {

// Where a row stands: positions break ties of event time.
struct RowPlace {
  int64_t time = 0;
  uint64_t position = 0;
  auto operator<=>(const RowPlace&) const = default;
};

// Not thread-safe. Texts are seen, not copied: their memory outlives it or the next Reset.
class KeptRows {
 public:
  enum class End : uint8_t { kNewest, kOldest };
  KeptRows(CellKind kind, End end, uint32_t limit) : kind_(kind), end_(end), limit_(limit) {}

  // These rows, whose argument is not null.
  void Add(const RowBlock& block, const ArgumentBlock& argument, RowMask rows);
  void Merge(const KeptRows& other);
  // Of the newest: rows older than all that were added change nothing.
  bool is_full() const { return end_ == End::kNewest && kept_.size() == limit_; }
  // The cells, by event time, then position.
  std::vector<uint64_t> Cells() const;
  void Reset() { kept_.clear(); }

 private:
  struct Kept {
    RowPlace place;
    uint64_t cell;
  };
  // Whether `a` stays rather than `b`.
  bool Before(const RowPlace& a, const RowPlace& b) const {
    return end_ == End::kNewest ? a > b : a < b;
  }
  // False when the row is not among those to keep.
  bool Offer(const Kept& row);

  CellKind kind_;
  End end_;
  uint32_t limit_;
  std::vector<Kept> kept_;  // a heap: the one to give up next is in front
};

}  // namespace headrace::pipeline
