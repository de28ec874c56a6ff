#pragma once
// Rows out of several batches.

#include <cstdint>
#include <span>

#include "columns/batch.h"

namespace headrace::columns {

// Those rows of all batches one after the other, in the order of `rows`. Only they are copied: text
// of all batches may pass the 2 GiB that a column of one batch has at most. All of one schema (an
// invariant).
ColumnBatch Gather(std::span<const ColumnBatch> batches, std::span<const uint32_t> rows);

}  // namespace headrace::columns
