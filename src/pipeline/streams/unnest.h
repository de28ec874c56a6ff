#pragma once
// A row of each element of a list: order lines, tags. The list is a JSON array in a text column; in
// its place a derived row has the element, behind the others the element's ordinal, 1 the first.
//
// What becomes of a list is a function of the list alone, but for kUnnestedRowsMax and
// kUnnestedTextMax, which are the epoch's: a NULL, an empty list and what is no list make no row
// (or one, if empty ones are kept), elements beyond the limits are left out. All of that is
// counted.

#include <cstdint>
#include <vector>

#include "columns/batch.h"
#include "pipeline/streams/derivation.h"

namespace headrace::pipeline {

// Rows that one epoch's rows of a stream may become; a position has room for four times as many.
inline constexpr size_t kUnnestedRowsMax = size_t{1} << 22;

// Bytes of text in them: elements, and the other columns' texts once for each. Behind the first
// element that it has no room for the epoch has no more.
inline constexpr uint64_t kUnnestedTextMax = uint64_t{1} << 30;

// What Unnested's rows will take in memory, at most, found without reading the lists: elements have
// commas between them. Columns that are computed from them later are not in it.
uint64_t UnnestedBytesMax(const Derivation& derivation, const columns::ColumnBatch& input);

// `rows` are of the derivation's `unnested` schema; columns that it neither computes with nor keeps
// are NULL. `text_max` is kUnnestedTextMax but in tests.
DerivedRows Unnested(const Derivation& derivation, const columns::ColumnBatch& input,
                     UnnestCounts& counts, uint64_t text_max = kUnnestedTextMax);

}  // namespace headrace::pipeline
