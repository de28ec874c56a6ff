#pragma once
// How often each value occurs: what top_k and top_k_counts answer.

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "pipeline/aggregates/distinct_values.h"
#include "pipeline/aggregates/value_cells.h"

namespace headrace::pipeline {

// Not thread-safe. Texts are seen, not copied: their memory outlives it or the next Reset.
class ValueCounts {
 public:
  explicit ValueCounts(CellKind kind);

  // The values of these rows, which are not null.
  void Add(const ArgumentBlock& argument, RowMask rows);
  void Merge(const ValueCounts& other);
  // The `limit` most frequent values with their counts; of equally frequent ones the lesser first.
  // Nothing beyond kDistinctValuesMax values.
  std::optional<std::vector<std::pair<uint64_t, uint64_t>>> Top(size_t limit) const;
  void Reset();

 private:
  void Count(uint64_t cell, uint64_t times);

  CellKind kind_;
  boost::unordered_flat_map<uint64_t, uint64_t, ValueHash, ValueEqual> counts_;
  bool beyond_ = false;
};

}  // namespace headrace::pipeline
