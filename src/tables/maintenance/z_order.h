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
//   2. the ranks' upper bits are interleaved, the first column's first;
//   3. rows are sorted by that, those that are equal stay as they are.
//
// At least one column, all of one length under 2^32; none a list. A function of the values alone.
// Row numbers in their new order.
std::vector<uint32_t> ZOrder(std::span<const columns::Column> columns);

inline constexpr size_t kZOrderColumnsMax = 4;

}  // namespace headrace::tables
