#pragma once
// A view's aggregates over a set of rows. Every one is a function of the set: rows may be added in
// any order, in any grouping, directly or through partials, and the results have the same bits.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "columns/value.h"
#include "pipeline/aggregates/aggregate_plan.h"
#include "pipeline/aggregates/exact_sum.h"
#include "pipeline/aggregates/quantile_buckets.h"
#include "pipeline/aggregates/row_block.h"

namespace headrace::pipeline {

// What is kept of a slot over a set of rows (only of slots with has_partial()). Texts are cells,
// whose blobs are those of the rows. kNewest keeps the row's time in `least`, its position in
// `greatest`, its cell in `sum`, its validity in `truths`.
struct SlotPartial {
  Int128 sum = 0;     // kIntegerSum; kDoubleSum in ExactSum's units
  int64_t least = 0;  // ranges: the value, or the double's ordered bits
  int64_t greatest = 0;
  uint32_t count = 0;  // rows that counted
  uint32_t truths = 0;
};

// Neighbouring blocks [first, end) of a run. A run has the partials of one block after the other, a
// SlotPartial a slot each; those of additive slots are running totals, from the run's first block
// up to and with this one. So a stretch of additive slots is one difference, whatever its length.
struct PartialRun {
  const SlotPartial* partials = nullptr;
  uint32_t first = 0;
  uint32_t end = 0;
};
// Writes the partials of block `at` behind those of the blocks before it; `block` of none is a
// block that counts for nothing. False when a running total does not fit: then it is such a block,
// too.
bool AppendToRun(const AggregatePlan& plan, SlotPartial* run, uint32_t at,
                 std::span<const SlotPartial> block);
// The partials of block `at` alone.
void BlockOfRun(const AggregatePlan& plan, const SlotPartial* run, uint32_t at,
                std::span<SlotPartial> out);

struct AggregateResult {
  columns::Value value;  // null over no rows (0 for counts)
  // The value is outside what its type can hold: an integer sum beyond int64. The value is null
  // then.
  enum class Range : uint8_t { kInside, kOutside } range = Range::kInside;
};

// Not thread-safe. Texts of results are copied out, so rows and partials need to live only until
// Result.
class Accumulators {
 public:
  // `plan` outlives it.
  explicit Accumulators(const AggregatePlan& plan);

  // Adds the rows of the mask.
  void Add(const RowBlock& block, RowMask rows);
  // Adds them to the slots without a partial only: goes with MergePartials of the same rows.
  void AddWithoutPartial(const RowBlock& block, RowMask rows);
  // `partials`: one per slot, as WritePartials made them.
  void MergePartials(std::span<const SlotPartial> partials);
  void MergeRun(const PartialRun& run);
  void Merge(const Accumulators& other);

  // Fills `out` (one per slot). False when a sum does not fit: then the rows have to be added again
  // instead.
  bool WritePartials(std::span<SlotPartial> out) const;

  // The answer of feature `feature` over the rows so far; more rows may follow.
  //   sum       exact, then rounded once; integers that leave int64 are kOutside
  //   mean      double(sum, rounded once) / double(count): two roundings, each to nearest even
  //   share     double(rows that are true) / double(rows that are not null)
  //   last      of the newest row by (event time, position), null if it is null there
  AggregateResult Result(size_t feature);

  // Every slot has at least one row.
  bool AllHaveRows() const;
  void Reset();

 private:
  struct State {
    uint64_t count = 0;
    uint64_t truths = 0;
    Int128 integers = 0;
    ExactSum doubles;
    int64_t least = 0;
    int64_t greatest = 0;
    std::string_view least_text, greatest_text;
    std::vector<Bucket> buckets;
    int64_t newest_time = 0;  // kNewest: of the newest row so far, if count > 0
    uint64_t newest_position = 0;
    uint64_t newest_cell = 0;
    bool newest_valid = false;
  };
  static void MergePartial(const Slot& slot, const SlotPartial& partial, State& state);
  static void SubtractPartial(const Slot& slot, const SlotPartial& partial, State& state);
  static void AddSlot(const Slot& slot, const RowBlock& block, RowMask rows, State& state);
  static void AddRange(State& state, int64_t least, int64_t greatest, uint64_t count);
  static void AddTextRange(State& state, const RowBlock& block, const Slot& slot, RowMask rows);
  static void AddNewest(State& state, const RowBlock& block, const Slot& slot, RowMask rows);
  static void MergeState(State& state, const State& other);
  static AggregateResult RangeEnd(const AggregateSpec& spec, const Slot& slot, const State& state);
  static AggregateResult Sum(const AggregateSpec& spec, const Slot& slot, const State& state);

  const AggregatePlan* plan_;
  std::vector<State> states_;
};

// A cell as a value of `type` (not bool).
columns::Value ValueOfCell(columns::Type type, const uint64_t& cell);

}  // namespace headrace::pipeline
