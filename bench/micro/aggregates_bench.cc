// What each aggregate costs at a read: 1,440 rows of one key added block by block and answered, one
// thread, CPU time (docs/adr/0016). An eighth of the values is null; integers are of
// 2,000 values, texts of 183.
//   Read/NAME/int, /float, /text    the rows themselves
//   Read/NAME/int/partials          what sealed chunks keep, for aggregates that have it

#include <deque>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "pipeline/aggregates/random_rows.h"

namespace headrace::pipeline {
namespace {

constexpr size_t kRows = 1'440;
constexpr uint64_t kSeed = 1;

struct Input {
  Input() {
    std::vector<RandomRow> rows = RandomRows(kSeed, kRows);
    for (size_t begin = 0; begin < rows.size(); begin += kBlockRows) {
      const auto from = rows.begin() + static_cast<ptrdiff_t>(begin);
      blocks.emplace_back(std::vector(
          from, from + static_cast<ptrdiff_t>(std::min<size_t>(kBlockRows, rows.size() - begin))));
    }
  }
  std::deque<BlockOfRows> blocks;
};

AggregatePlan PlanOf(AggregateKind kind, size_t argument) {
  const bool star = RowOf(kind).takes == Takes::kStar;
  AggregateSpec spec{.name = "",
                     .kind = kind,
                     .argument = star ? std::nullopt : std::optional(argument),
                     .argument_type = kRandomRowTypes[argument],
                     .where = {},
                     .quantile = 0.9,
                     .size = 10,
                     .half_life = std::chrono::seconds(1)};
  const auto result = ResultType(kind, star ? std::nullopt : std::optional(spec.argument_type));
  spec.result_type = *result;
  return AggregatePlan(std::vector{spec}, kRandomRowTypes);
}

void ReadRows(benchmark::State& state, AggregateKind kind, size_t argument) {
  const Input input;
  const AggregatePlan plan = PlanOf(kind, argument);
  for (auto _ : state) {
    Accumulators rows(plan);
    rows.SetAsOf(kRandomRowsAsOf);
    for (const BlockOfRows& block : input.blocks) rows.Add(block.block(), block.rows());
    benchmark::DoNotOptimize(rows.Result(0, kRandomRowsWindow));
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kRows));
}

void ReadPartials(benchmark::State& state, AggregateKind kind, size_t argument) {
  const Input input;
  const AggregatePlan plan = PlanOf(kind, argument);
  std::vector<std::vector<SlotPartial>> partials;
  for (const BlockOfRows& block : input.blocks) {
    Accumulators alone(plan);
    alone.AddWithPartial(block.block(), block.rows());
    partials.emplace_back(plan.slots().size());
    if (!alone.WritePartials(partials.back())) state.SkipWithError("a partial does not fit");
  }
  for (auto _ : state) {
    Accumulators rows(plan);
    rows.SetAsOf(kRandomRowsAsOf);
    for (const auto& partial : partials) rows.MergePartials(partial);
    benchmark::DoNotOptimize(rows.Result(0, kRandomRowsWindow));
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kRows));
}

void RegisterAll() {
  for (const AggregateRow& row : AggregateTable()) {
    for (const auto& [argument, name] :
         {std::pair(0, "int"), std::pair(1, "float"), std::pair(2, "bool"), std::pair(3, "text")}) {
      const columns::Type type = kRandomRowTypes[static_cast<size_t>(argument)];
      const bool star = row.takes == Takes::kStar;
      if (star ? argument != 0 : !ResultType(row.kind, type)) continue;
      const std::string title = "Read/" + std::string(row.name) + "/" + name;
      const auto kind = row.kind;
      const auto of = static_cast<size_t>(argument);
      benchmark::RegisterBenchmark(title.c_str(),
                                   [=](benchmark::State& state) { ReadRows(state, kind, of); });
      const AggregatePlan plan = PlanOf(kind, of);
      if (std::ranges::all_of(plan.slots(), &Slot::has_partial))
        benchmark::RegisterBenchmark((title + "/partials").c_str(), [=](benchmark::State& state) {
          ReadPartials(state, kind, of);
        });
    }
  }
}

}  // namespace
}  // namespace headrace::pipeline

int main(int argc, char** argv) {
  headrace::pipeline::RegisterAll();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
