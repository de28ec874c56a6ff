#include "pipeline/aggregates/value_counts.h"

#include <algorithm>

namespace headrace::pipeline {

ValueCounts::ValueCounts(CellKind kind)
    : kind_(kind), counts_(0, ValueHash{.kind = kind}, ValueEqual{.kind = kind}) {}

void ValueCounts::Count(uint64_t cell, uint64_t times) {
  if (beyond_) return;
  counts_[cell] += times;
  if (counts_.size() <= kDistinctValuesMax) return;
  beyond_ = true;
  counts_.clear();
}

void ValueCounts::Add(const ArgumentBlock& argument, RowMask rows) {
  ForEachRow(rows, [&](uint32_t row) { Count(ValueCell(kind_, argument, row), 1); });
}

void ValueCounts::Merge(const ValueCounts& other) {
  if (other.beyond_) {
    beyond_ = true;
    counts_.clear();
  }
  for (const auto& [cell, times] : other.counts_) Count(cell, times);
}

std::optional<std::vector<std::pair<uint64_t, uint64_t>>> ValueCounts::Top(size_t limit) const {
  if (beyond_) return std::nullopt;
  std::vector<std::pair<uint64_t, uint64_t>> all(counts_.begin(), counts_.end());
  const auto end = all.begin() + static_cast<ptrdiff_t>(std::min(limit, all.size()));
  std::partial_sort(all.begin(), end, all.end(), [this](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : LessValue(kind_, a.first, b.first);
  });
  all.erase(end, all.end());
  return all;
}

void ValueCounts::Reset() {
  counts_.clear();
  beyond_ = false;
}

}  // namespace headrace::pipeline
