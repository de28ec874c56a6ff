#pragma once
// One stream's rows -> dense numbers of one entity's keys. Views of the stream with equal `by`
// share the result.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "columns/batch.h"
#include "pipeline/state/entity_index.h"

namespace headrace::pipeline {

// Applier only.
class EntityKeys {
 public:
  // `index` outlives it. `by`: fields of the stream that make the key, in order.
  EntityKeys(EntityIndex& index, std::vector<size_t> by) : index_(&index), by_(std::move(by)) {}

  // The number of the key of each of `rows`, by row number (others are unspecified); new keys are
  // added. Lives until the next call.
  std::span<const uint32_t> Resolve(const columns::ColumnBatch& batch,
                                    std::span<const uint32_t> rows, Step step);

  const EntityIndex& index() const { return *index_; }
  const std::vector<size_t>& by() const { return by_; }

 private:
  // Rows probed together: enough to overlap their cache misses.
  static constexpr size_t kProbes = 16;

  EntityIndex* index_;
  std::vector<size_t> by_;
  std::vector<uint32_t> numbers_;
  std::string keys_[kProbes];
  uint64_t hashes_[kProbes] = {};
};

}  // namespace headrace::pipeline
