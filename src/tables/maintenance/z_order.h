#pragma once
// The order of rows along a Z-curve through several columns: rows that are alike in all of them
// stand together, so that each file and row group covers a small range of every column, and a
// reader that asks for one value of one of them passes over most files.

#include <cstdint>
#include <span>
#include <vector>

#include "columns/column.h"

namespace headrace::tables {

// Steps:
//   1. each column: rows are ranked by value (nulls first, NaN last, equal values share the rank of
//      the first of them), so that every column's values are spread evenly, whatever they are;
//   2. ranks are spread over all the bits that a column gets, so that a bit halves the rows, and
//      interleaved, the first column's first;
//   3. rows are sorted by that, those that are equal stay as they are;
//   4. files end where a bit changes: the rows are halved, bit after bit, until a piece has at most
//      `rows_max`. A file then covers a rectangle of the columns' values. One that ended anywhere
//      would cover two, and what is between them: a third more files had to be read for a value.
//
// At least one column, all of one length under 2^32; none a list. A function of the values alone.
struct ZOrdered {
  std::vector<uint32_t> order;  // row numbers
  std::vector<size_t> ends;     // of the files, in `order`, ascending; the last is its size
};
ZOrdered ZOrder(std::span<const columns::Column> columns, size_t rows_max);

inline constexpr size_t kZOrderColumnsMax = 4;

}  // namespace headrace::tables
