#pragma once
// Cells as values that are equal or not: keys of the tables behind distinct counts, top-k and sets.
// -0.0 is 0.0 here, as in SQL, and all NaNs are one value.

#include <bit>
#include <cstdint>
#include <string_view>

#include "base/hash.h"
#include "pipeline/aggregates/row_block.h"

namespace headrace::pipeline {

// The value of row `row`, which is not null, as a cell: equal values have equal cells, but for
// texts of more than 7 bytes, whose cells see the row's memory.
inline uint64_t ValueCell(CellKind kind, const ArgumentBlock& argument, uint32_t row) {
  if (kind == CellKind::kBool) return (argument.truth >> row) & 1;
  const uint64_t cell = argument.cells[row];
  if (kind != CellKind::kDouble) return cell;
  const uint64_t magnitude = cell & ~(1ULL << 63);
  if (magnitude == 0) return 0;
  return magnitude > (0x7ffULL << 52) ? 0x7ff8ULL << 48 : cell;
}

// Well mixed, and the same on every machine and build.
inline uint64_t HashOfValue(CellKind kind, const uint64_t& cell) {
  if (kind == CellKind::kText && TextCell::IsOutside(cell))
    return base::Hash64(TextCell::Read(cell));
  return base::Hash64(std::string_view(reinterpret_cast<const char*>(&cell), sizeof(cell)));
}

inline bool SameValue(CellKind kind, const uint64_t& a, const uint64_t& b) {
  if (a == b) return true;
  if (kind != CellKind::kText || !TextCell::IsOutside(a) || !TextCell::IsOutside(b)) return false;
  return TextCell::Read(a) == TextCell::Read(b);
}

// A double's bits as an integer that orders as IEEE 754's totalOrder does. Its own inverse on the
// bits.
inline int64_t FlipNegative(int64_t bits) {
  return bits ^ static_cast<int64_t>(static_cast<uint64_t>(bits >> 63) >> 1);
}

// Numbers by size with NaN above all, texts by their bytes, false before true.
inline bool LessValue(CellKind kind, const uint64_t& a, const uint64_t& b) {
  if (kind == CellKind::kText) return TextCell::Read(a) < TextCell::Read(b);
  if (kind == CellKind::kDouble)
    return FlipNegative(static_cast<int64_t>(a)) < FlipNegative(static_cast<int64_t>(b));
  return static_cast<int64_t>(a) < static_cast<int64_t>(b);
}

struct ValueHash {
  using is_avalanching = void;
  CellKind kind;
  size_t operator()(uint64_t cell) const { return HashOfValue(kind, cell); }
};
struct ValueEqual {
  CellKind kind;
  bool operator()(uint64_t a, uint64_t b) const { return SameValue(kind, a, b); }
};

}  // namespace headrace::pipeline
