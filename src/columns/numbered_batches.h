#pragma once
// Rows out of several batches.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "columns/batch.h"

namespace headrace::columns {

// Batches of one schema (an invariant) whose rows are numbered through, so that they can be put in
// another order without being one batch: their text may pass the 2 GiB that a column of one has.
class NumberedBatches {
 public:
  NumberedBatches() = default;
  explicit NumberedBatches(std::vector<ColumnBatch> batches);

  // Those rows, in this order; of at least one batch (an invariant). Costs what they do, however
  // many batches there are.
  ColumnBatch Take(std::span<const uint32_t> rows) const;

 private:
  std::vector<ColumnBatch> batches_;
  std::vector<size_t> ends_;  // of each, behind its last row
};

}  // namespace headrace::columns
