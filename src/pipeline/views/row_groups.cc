#include "pipeline/views/row_groups.h"

#include <algorithm>
#include <utility>

namespace headrace::pipeline {

std::span<const RowGroups::Group> RowGroups::Build(std::span<const uint32_t> rows,
                                                   std::span<const uint32_t> numbers,
                                                   uint32_t numbers_end,
                                                   std::span<const int64_t> times) {
  if (group_of_.size() < numbers_end)
    group_of_.resize(std::max<size_t>(numbers_end, group_of_.size() * 2), 0);
  groups_.clear();
  sizes_.clear();
  grouped_.resize(rows.size());
  constexpr size_t kAhead = 16;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i + kAhead < rows.size()) __builtin_prefetch(&group_of_[numbers[rows[i + kAhead]]], 1);
    const uint32_t row = rows[i];
    uint32_t& group = group_of_[numbers[row]];
    if (group == 0) {
      groups_.push_back({.number = numbers[row], .rows = {}});
      sizes_.push_back(0);
      group = static_cast<uint32_t>(groups_.size());
    }
    ++sizes_[group - 1];
  }
  uint32_t begin = 0;
  for (size_t g = 0; g < groups_.size(); ++g) {
    groups_[g].rows = {grouped_.data() + begin, sizes_[g]};
    begin += std::exchange(sizes_[g], begin);
  }
  for (const uint32_t row : rows) grouped_[sizes_[group_of_[numbers[row]] - 1]++] = row;
  const auto by_time = [times](uint32_t a, uint32_t b) { return times[a] < times[b]; };
  for (const Group& group : groups_) {
    group_of_[group.number] = 0;
    if (std::is_sorted(group.rows.begin(), group.rows.end(), by_time)) continue;
    uint32_t* first = grouped_.data() + (group.rows.data() - grouped_.data());
    std::stable_sort(first, first + group.rows.size(), by_time);
  }
  return groups_;
}

}  // namespace headrace::pipeline
