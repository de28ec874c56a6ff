#include "columns/gather.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/result.h"

namespace headrace::columns {

ColumnBatch Gather(std::span<const ColumnBatch> batches, std::span<const uint32_t> rows) {
  HR_CHECK(!batches.empty(), "gather from no batches");
  std::vector<size_t> ends;
  for (const ColumnBatch& batch : batches)
    ends.push_back((ends.empty() ? 0 : ends.back()) + batch.rows());
  std::vector<std::vector<uint32_t>> wanted(batches.size());
  std::vector<size_t> of_batch;
  for (const uint32_t row : rows) {
    const auto batch = static_cast<size_t>(std::ranges::upper_bound(ends, row) - ends.begin());
    HR_CHECK(batch < batches.size(), "gather: a row beyond the last batch");
    of_batch.push_back(batch);
    wanted[batch].push_back(row - static_cast<uint32_t>(ends[batch] - batches[batch].rows()));
  }
  std::vector<ColumnBatch> taken;
  std::vector<uint32_t> next;  // of each batch, where its next row is among all that are taken
  uint32_t begin = 0;
  for (size_t i = 0; i < batches.size(); ++i) {
    next.push_back(begin);
    begin += static_cast<uint32_t>(wanted[i].size());
    if (!wanted[i].empty() || taken.empty()) taken.push_back(batches[i].Take(wanted[i]));
  }
  std::vector<uint32_t> order;
  for (const size_t batch : of_batch) order.push_back(next[batch]++);
  return ColumnBatch::Concat(taken).Take(order);
}

}  // namespace headrace::columns
