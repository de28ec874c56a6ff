#include "pipeline/aggregates/kept_rows.h"

#include <algorithm>

namespace headrace::pipeline {

bool KeptRows::Offer(const Kept& row) {
  const auto stays = [this](const Kept& a, const Kept& b) { return Before(a.place, b.place); };
  if (kept_.size() == limit_) {
    if (!stays(row, kept_.front())) return false;
    std::ranges::pop_heap(kept_, stays);
    kept_.pop_back();
  }
  kept_.push_back(row);
  std::ranges::push_heap(kept_, stays);
  return true;
}

// From the end that is wanted, so that the first row that is not kept ends it.
void KeptRows::Add(const RowBlock& block, const ArgumentBlock& argument, RowMask rows) {
  while (rows != 0) {
    const auto row = static_cast<uint32_t>(end_ == End::kNewest ? 63 - std::countl_zero(rows)
                                                                : std::countr_zero(rows));
    const uint64_t cell =
        kind_ == CellKind::kBool ? (argument.truth >> row) & 1 : argument.cells[row];
    if (!Offer({{block.times[row], block.positions[row]}, cell})) return;
    rows &= ~(RowMask{1} << row);
  }
}

void KeptRows::Merge(const KeptRows& other) {
  for (const Kept& row : other.kept_) Offer(row);
}

std::vector<uint64_t> KeptRows::Cells() const {
  std::vector<Kept> sorted = kept_;
  std::ranges::sort(sorted, {}, &Kept::place);
  std::vector<uint64_t> cells;
  cells.reserve(sorted.size());
  for (const Kept& row : sorted) cells.push_back(row.cell);
  return cells;
}

}  // namespace headrace::pipeline
