// Prints a digest of every aggregate's bits over seeded rows: one line per number of rows, then all
// of them together. Two builds that print different lines disagree about the line's rows.

#include <cstdint>
#include <cstdio>
#include <deque>

#include "base/hash.h"
#include "pipeline/aggregates/random_rows.h"

namespace headrace::pipeline {
namespace {

uint64_t Fold(uint64_t digest, uint64_t value) { return base::Mix64(digest * 31 + value); }

uint64_t FoldValue(uint64_t digest, const columns::Value& value) {
  digest = Fold(digest, static_cast<uint64_t>(value.type()));
  if (value.is_null()) return Fold(digest, 0xdead);
  if (columns::IsList(value.type())) {
    for (const columns::Value& element : value.as_list()) digest = FoldValue(digest, element);
    return Fold(digest, value.as_list().size());
  }
  switch (CellKindOf(value.type())) {
    case CellKind::kBool: return Fold(digest, value.as_bool() ? 1 : 0);
    case CellKind::kInteger: return Fold(digest, static_cast<uint64_t>(value.as_int()));
    case CellKind::kDouble: return Fold(digest, std::bit_cast<uint64_t>(value.as_double()));
    case CellKind::kText: break;
  }
  return Fold(digest, base::Hash64(value.as_text()));
}

// Half of the blocks go through partials.
uint64_t DigestOf(const AggregatePlan& plan, const std::vector<RandomRow>& rows) {
  Accumulators all(plan);
  all.SetAsOf(kRandomRowsAsOf);
  std::deque<BlockOfRows> blocks;
  std::deque<std::vector<SlotPartial>> kept;
  for (size_t begin = 0; begin < rows.size(); begin += kBlockRows) {
    const auto end = std::min(rows.size(), begin + kBlockRows);
    const BlockOfRows& block = blocks.emplace_back(std::vector(
        rows.begin() + static_cast<ptrdiff_t>(begin), rows.begin() + static_cast<ptrdiff_t>(end)));
    std::vector<SlotPartial>& partials = kept.emplace_back(plan.slots().size());
    Accumulators alone(plan);
    alone.Add(block.block(), block.rows());
    if (blocks.size() % 2 == 0 && alone.WritePartials(partials)) {
      all.MergePartials(partials);
      all.AddWithoutPartial(block.block(), block.rows());
    } else {
      all.Add(block.block(), block.rows());
    }
  }
  uint64_t digest = 0;
  for (size_t i = 0; i < plan.specs().size(); ++i)
    digest = FoldValue(digest, all.Result(i, kRandomRowsWindow).value);
  return digest;
}

void Run() {
  const AggregatePlan plan(EverySpec(), kRandomRowTypes);
  uint64_t together = 0;
  for (const size_t count : {0, 1, 2, 63, 64, 65, 1'000, 20'000}) {
    // Once with values of every magnitude, once with such as partials can hold.
    for (const bool wide : {true, false}) {
      std::vector<RandomRow> rows = RandomRows(count + 1, count);
      for (RandomRow& row : rows) row.valid[4] = row.valid[4] && wide;
      const uint64_t digest = DigestOf(plan, rows);
      std::printf("%zu rows %016llx\n", count, static_cast<unsigned long long>(digest));
      together = Fold(together, digest);
    }
  }
  std::printf("digest %016llx\n", static_cast<unsigned long long>(together));
}

}  // namespace
}  // namespace headrace::pipeline

int main() {
  headrace::pipeline::Run();
  return 0;
}
