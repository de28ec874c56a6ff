#include "pipeline/views/entity_keys.h"

#include <algorithm>

#include "columns/key.h"

namespace headrace::pipeline {

std::span<const uint32_t> EntityKeys::Resolve(const columns::ColumnBatch& batch,
                                              std::span<const uint32_t> rows, Step step) {
  numbers_.resize(batch.rows());
  for (size_t begin = 0; begin < rows.size(); begin += kProbes) {
    const size_t count = std::min(kProbes, rows.size() - begin);
    for (size_t i = 0; i < count; ++i) {
      columns::KeyOfRow(batch, by_, rows[begin + i], keys_[i]);
      hashes_[i] = EntityIndex::HashOf(keys_[i]);
      index_->Prefetch(hashes_[i]);
    }
    for (size_t i = 0; i < count; ++i) index_->PrefetchRecord(hashes_[i]);
    for (size_t i = 0; i < count; ++i)
      numbers_[rows[begin + i]] = index_->FindOrAdd(keys_[i], hashes_[i], step);
  }
  return numbers_;
}

}  // namespace headrace::pipeline
