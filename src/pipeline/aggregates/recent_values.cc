#include "pipeline/aggregates/recent_values.h"

#include <algorithm>
#include <utility>

namespace headrace::pipeline {
namespace {

// Values beyond the limit that are held until they are worth a sweep.
constexpr size_t kSpare = 64;

}  // namespace

RecentValues::RecentValues(CellKind kind, uint32_t limit)
    : kind_(kind), limit_(limit), newest_(0, ValueHash{.kind = kind}, ValueEqual{.kind = kind}) {}

void RecentValues::See(uint64_t cell, const RowPlace& place) {
  const auto [entry, fresh] = newest_.emplace(cell, place);
  if (!fresh) entry->second = std::max(entry->second, place);
  if (newest_.size() >= 2 * size_t{limit_} + kSpare) GiveUp();
}

void RecentValues::Add(const RowBlock& block, const ArgumentBlock& argument, RowMask rows) {
  ForEachRow(rows, [&](uint32_t row) {
    See(ValueCell(kind_, argument, row), {block.times[row], block.positions[row]});
  });
}

void RecentValues::Merge(const RecentValues& other) {
  for (const auto& [cell, place] : other.newest_) See(cell, place);
}

std::vector<uint64_t> RecentValues::Newest() const {
  std::vector<std::pair<RowPlace, uint64_t>> all;
  all.reserve(newest_.size());
  for (const auto& [cell, place] : newest_) all.emplace_back(place, cell);
  const size_t count = std::min<size_t>(limit_, all.size());
  const auto end = all.begin() + static_cast<ptrdiff_t>(count);
  if (count < all.size())
    std::nth_element(all.begin(), end, all.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<uint64_t> cells;
  for (auto at = all.begin(); at != end; ++at) cells.push_back(at->second);
  return cells;
}

void RecentValues::GiveUp() {
  decltype(newest_) kept(0, newest_.hash_function(), newest_.key_eq());
  for (const uint64_t cell : Newest()) kept.emplace(cell, newest_.at(cell));
  newest_ = std::move(kept);
}

std::vector<uint64_t> RecentValues::Cells() const {
  std::vector<uint64_t> cells = Newest();
  std::ranges::sort(cells, [this](uint64_t a, uint64_t b) { return LessValue(kind_, a, b); });
  return cells;
}

}  // namespace headrace::pipeline
