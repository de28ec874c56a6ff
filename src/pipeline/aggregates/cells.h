#pragma once
// From a batch's columns to the cells and bits that aggregates read.

#include <cstdint>
#include <span>

#include "columns/column.h"
#include "pipeline/aggregates/row_block.h"

namespace headrace::pipeline {

// Where texts of more than 7 bytes go.
class TextMemory {
 public:
  virtual ~TextMemory() = default;
  // At least as long-lived as the cells. 4-byte aligned.
  virtual void* AllocateText(size_t bytes) = 0;
};

// Writes a cell for each of `rows` of a column that is not bool; a null's cell is unspecified (an
// empty text for text).
void GatherCells(const columns::Column& column, std::span<const uint32_t> rows, uint64_t* out,
                 TextMemory& texts);

// Bit i of the result is about rows[i]; at most 64 rows.
RowMask GatherValid(const columns::Column& column, std::span<const uint32_t> rows);
RowMask GatherTruth(const columns::Column& column, std::span<const uint32_t> rows);

}  // namespace headrace::pipeline
