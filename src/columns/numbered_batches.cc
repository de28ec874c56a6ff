#include "columns/numbered_batches.h"

#include <algorithm>
#include <utility>

#include "base/result.h"

namespace headrace::columns {

NumberedBatches::NumberedBatches(std::vector<ColumnBatch> batches) : batches_(std::move(batches)) {
  for (const ColumnBatch& batch : batches_)
    ends_.push_back((ends_.empty() ? 0 : ends_.back()) + batch.rows());
}

ColumnBatch NumberedBatches::Take(std::span<const uint32_t> rows) const {
  HR_CHECK(!batches_.empty(), "rows of no batches");
  std::vector<size_t> of_row;  // its batch
  for (const uint32_t row : rows) {
    of_row.push_back(static_cast<size_t>(std::ranges::upper_bound(ends_, row) - ends_.begin()));
    HR_CHECK(of_row.back() < batches_.size(), "a row beyond the last batch");
  }
  std::vector<size_t> touched = of_row;
  std::ranges::sort(touched);
  touched.erase(std::ranges::unique(touched).begin(), touched.end());
  if (touched.empty()) return batches_.front().Take({});
  std::vector<std::vector<uint32_t>> wanted(touched.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const size_t batch = of_row[i];
    const auto slot =
        static_cast<size_t>(std::ranges::lower_bound(touched, batch) - touched.begin());
    wanted[slot].push_back(rows[i] - static_cast<uint32_t>(ends_[batch] - batches_[batch].rows()));
    of_row[i] = slot;
  }
  std::vector<ColumnBatch> taken;
  std::vector<uint32_t> next;  // by slot, where its next row is among all that are taken
  uint32_t begin = 0;
  for (size_t slot = 0; slot < touched.size(); ++slot) {
    next.push_back(begin);
    begin += static_cast<uint32_t>(wanted[slot].size());
    taken.push_back(batches_[touched[slot]].Take(wanted[slot]));
  }
  std::vector<uint32_t> order;
  for (const size_t slot : of_row) order.push_back(next[slot]++);
  return ColumnBatch::Concat(taken).Take(order);
}

}  // namespace headrace::columns
