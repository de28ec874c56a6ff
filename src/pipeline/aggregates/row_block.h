#pragma once
// Up to 64 rows of a view in columns, ordered by (event time, position): what aggregates are
// computed from, online and offline. A set of rows is a 64-bit mask. A block owns nothing: its
// memory is a chunk of the state or a batch driver's columns.

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "columns/type.h"

namespace headrace::pipeline {

constexpr uint32_t kBlockRows = 64;
using RowMask = uint64_t;

constexpr RowMask RowsBelow(uint32_t count) {
  return count >= kBlockRows ? ~RowMask{0} : (RowMask{1} << count) - 1;
}
constexpr RowMask RowsBetween(uint32_t begin, uint32_t end) {
  return RowsBelow(end) & ~RowsBelow(begin);
}

// Calls `body(row)` for each row of the mask; a run without holes becomes a plain loop.
template <typename Body>
inline void ForEachRow(RowMask rows, Body body) {
  if (rows == 0) return;
  const auto begin = static_cast<uint32_t>(std::countr_zero(rows));
  const RowMask run = rows >> begin;
  if ((run & (run + 1)) == 0) {
    const auto end = begin + static_cast<uint32_t>(std::popcount(rows));
    for (uint32_t row = begin; row < end; ++row) body(row);
    return;
  }
  for (; rows != 0; rows &= rows - 1) body(static_cast<uint32_t>(std::countr_zero(rows)));
}

// A cell is 8 bytes: an int64 (integers, dates, timestamps), a double (floats widened), or a text
// cell. A bool has no cell: its value is a bit of `truth`.
enum class CellKind : uint8_t { kInteger, kDouble, kBool, kText };

inline CellKind CellKindOf(columns::Type type) {
  if (type == columns::Type::kBool) return CellKind::kBool;
  if (columns::IsFloating(type)) return CellKind::kDouble;
  return columns::IsVariable(type) ? CellKind::kText : CellKind::kInteger;
}

// One argument's values over the rows of a block. Bits of rows that are null or beyond the block
// are unspecified.
struct ArgumentBlock {
  const uint64_t* cells = nullptr;
  RowMask valid = 0;
  RowMask truth = 0;
};

struct RowBlock {
  const int64_t* times = nullptr;       // event time, microseconds
  const uint64_t* positions = nullptr;  // columns::Position::packed
  const ArgumentBlock* arguments = nullptr;
};

// Text in a cell: up to 7 bytes inline (the top byte is the length), longer ones behind a pointer
// to {uint32 length, bytes} in memory that outlives the cell. Little-endian machines only.
static_assert(std::endian::native == std::endian::little);

struct TextCell {
  static constexpr size_t kInlineMax = 7;
  static constexpr uint64_t kPointerTag = 0xffULL << 56;

  static uint64_t Inline(std::string_view text) {
    uint64_t cell = 0;
    if (!text.empty()) std::memcpy(&cell, text.data(), text.size());
    return cell | static_cast<uint64_t>(text.size()) << 56;
  }
  static size_t BlobBytes(std::string_view text) { return sizeof(uint32_t) + text.size(); }
  // Writes `text` to `blob`, which has BlobBytes.
  static uint64_t Outside(std::string_view text, void* blob) {
    const auto length = static_cast<uint32_t>(text.size());
    std::memcpy(blob, &length, sizeof(length));
    std::memcpy(static_cast<char*>(blob) + sizeof(length), text.data(), text.size());
    const auto address = reinterpret_cast<uint64_t>(blob);
    HR_CHECK(address >> 56 == 0, "a heap address uses its top byte");
    return address | kPointerTag;
  }
  // The cell of a text that Read gave.
  static uint64_t Of(std::string_view text) {
    if (text.size() <= kInlineMax) return Inline(text);
    return reinterpret_cast<uint64_t>(text.data() - sizeof(uint32_t)) | kPointerTag;
  }
  static bool IsOutside(uint64_t cell) { return (cell & kPointerTag) == kPointerTag; }
  static char* BlobOf(uint64_t cell) { return reinterpret_cast<char*>(cell & ~kPointerTag); }
  // Sees the cell's own bytes or its blob's.
  static std::string_view Read(const uint64_t& cell) {
    if (!IsOutside(cell)) return {reinterpret_cast<const char*>(&cell), cell >> 56};
    uint32_t length;
    std::memcpy(&length, BlobOf(cell), sizeof(length));
    return {BlobOf(cell) + sizeof(length), length};
  }
};

}  // namespace headrace::pipeline
