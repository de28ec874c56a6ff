#pragma once
// A view's aggregates over a set of rows. Every one is a function of the set: rows may be added in
// any order, in any grouping, directly or through partials, and the results have the same bits.

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "columns/batch_codec.h"
#include "columns/value.h"
#include "pipeline/aggregates/aggregate_plan.h"
#include "pipeline/aggregates/distinct_values.h"
#include "pipeline/aggregates/exact_squares.h"
#include "pipeline/aggregates/exact_sum.h"
#include "pipeline/aggregates/kept_rows.h"
#include "pipeline/aggregates/quantile_buckets.h"
#include "pipeline/aggregates/recent_values.h"
#include "pipeline/aggregates/row_block.h"
#include "pipeline/aggregates/value_counts.h"
#include "pipeline/aggregates/variance.h"

namespace headrace::pipeline {

// What is kept of a slot over a set of rows (only of slots with has_partial()). Texts are cells,
// whose blobs are those of the rows. kNewest and kOldest keep the row's time in `least`, its
// position in `greatest`, its cell in `sum`, its validity in `truths`.
struct SlotPartial {
  // kIntegerSum; kDoubleSum in ExactSum's units; squares: the lower 128 bits.
  Int128 sum = 0;
  // Ranges: the values, or the doubles' ordered bits; squares: the upper 128 bits.
  int64_t least = 0;
  int64_t greatest = 0;
  uint64_t count = 0;  // rows that counted
  uint64_t truths = 0;
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

// How many rows its blocks are of; the plan must have been asked to count them.
inline uint64_t RowsInRun(const AggregatePlan& plan, const PartialRun& run) {
  if (run.first == run.end) return 0;
  const SlotPartial* totals = run.partials + plan.row_count_slot();
  const uint64_t before = run.first == 0 ? 0 : totals[(run.first - 1) * plan.slots().size()].count;
  return totals[(run.end - 1) * plan.slots().size()].count - before;
}

struct AggregateResult {
  columns::Value value;  // null over no rows (0 for counts)
  // The value is outside what its type or a limit can hold: a sum beyond int64 or float64, too many
  // distinct values. The value is null then.
  enum class Range : uint8_t { kInside, kOutside } range = Range::kInside;
};

// Not thread-safe. Texts of results are copied out, so rows and partials need to live only until
// Result.
class Accumulators {
 public:
  // `plan` outlives it.
  explicit Accumulators(const AggregatePlan& plan);

  // The time that the question is about, before rows are added; no row is newer. Partials do not
  // depend on it.
  void SetAsOf(base::Timestamp as_of) { as_of_ = as_of; }

  // Adds the rows of the mask.
  void Add(const RowBlock& block, RowMask rows);
  // Adds them to the slots without a partial only: goes with MergePartials of the same rows.
  void AddWithoutPartial(const RowBlock& block, RowMask rows);
  // Adds them to the slots with a partial only: for WritePartials.
  void AddWithPartial(const RowBlock& block, RowMask rows);
  // `partials`: one per slot, as WritePartials made them.
  void MergePartials(std::span<const SlotPartial> partials);
  // One slot's.
  void MergeSlot(size_t slot, const SlotPartial& partial) {
    MergePartial(plan_->slots()[slot], partial, states_[slot]);
  }
  void MergeRun(const PartialRun& run);
  void Merge(const Accumulators& other);

  // Fills `out` (one per slot). False when a sum does not fit: then the rows have to be added again
  // instead.
  bool WritePartials(std::span<SlotPartial> out) const;

  // accumulator_bytes.cc: what was accumulated, without addresses, as no partial can hold all of it
  // in a few bytes. Of slots that are IsTiled.
  enum class Slots : uint8_t { kAll, kWithoutRecord };
  void AppendBytes(Slots slots, std::vector<uint8_t>& out) const;
  // Adds what AppendBytes wrote; texts are seen in `bytes`. Errors: kCorruption.
  base::Result<void> MergeBytes(Slots slots, std::span<const uint8_t> bytes);

  // The answer of feature `feature` over the rows so far, which are those of a window of this
  // length (0: of a view without windows); more rows may follow.
  //   sum       exact, then rounded once; integers that leave int64 are kOutside
  //   mean      double(sum, rounded once) / double(count): two roundings, each to nearest even
  //   share     double(rows that are true) / double(rows that are not null)
  //   last      of the newest row by (event time, position), null if it is null there
  //   variances see variance.h; NaN when a NaN or an infinity is among the values
  //   decays    each term rounded twice (decay.h), their exact sum once
  //   rate      double(count) or the sum rounded once, divided by the window's seconds
  AggregateResult Result(size_t feature, base::Duration window);

  // Whether a row older than all so far can change a slot without a partial.
  bool NeedsOlderRows() const;
  // Every slot has at least one row.
  bool AllHaveRows() const;
  void Reset();

 private:
  struct State {
    explicit State(const Slot& slot);
    void Reset();
    ExactSquares& squares() { return std::get<ExactSquares>(more); }
    const ExactSquares& squares() const { return std::get<ExactSquares>(more); }

    uint64_t count = 0;
    uint64_t truths = 0;
    Int128 integers = 0;
    ExactSum doubles;
    int64_t least = 0;
    int64_t greatest = 0;
    std::string_view least_text, greatest_text;
    std::vector<Bucket> buckets;
    std::vector<BucketCount> bucket_counts;  // beside `buckets`
    int64_t end_time = 0;  // kNewest, kOldest: of the newest or oldest row so far, if count > 0
    uint64_t end_position = 0;
    uint64_t end_cell = 0;
    bool end_valid = false;
    // Of the slots that need more than the above.
    std::variant<std::monostate, ExactSquares, DistinctValues, KeptRows, ValueCounts, RecentValues>
        more;
  };
  void AddSlot(const Slot& slot, const RowBlock& block, RowMask rows, State& state) const;
  static void AddRange(State& state, int64_t least, int64_t greatest, uint64_t count);
  static void AddTextRange(State& state, const RowBlock& block, const Slot& slot, RowMask rows);
  void AddDecayed(State& state, const RowBlock& block, const Slot& slot, RowMask rows) const;
  static void AddEnd(State& state, const RowBlock& block, const Slot& slot, RowMask rows);
  // Whether a row is further than that of the state, at the end that the slot wants.
  static bool IsBeyond(const Slot& slot, const State& state, int64_t time, uint64_t position);
  static void MergeState(const Slot& slot, State& state, const State& other);
  // accumulator_partials.cc
  static void MergePartial(const Slot& slot, const SlotPartial& partial, State& state);
  static void SubtractPartial(const Slot& slot, const SlotPartial& partial, State& state);
  // accumulator_bytes.cc
  static void AppendState(const Slot& slot, const State& state, columns::ByteWriter& out);
  static base::Result<void> MergeStateBytes(const Slot& slot, columns::ByteReader& in,
                                            State& state);
  // accumulator_results.cc
  static AggregateResult RangeEnd(const AggregateSpec& spec, const Slot& slot, const State& state);
  static AggregateResult Sum(const AggregateSpec& spec, const Slot& slot, const State& state);
  static double RoundedSum(const Slot& slot, const State& state);
  // The exact sum by `divisor`, finite when the quotient is though the sum is beyond float64.
  static double Quotient(const Slot& slot, const State& state, double divisor);
  static AggregateResult EndValue(const AggregateSpec& spec, const Slot& slot, const State& state);
  static AggregateResult Distinct(const State& state);
  static AggregateResult List(const AggregateSpec& spec, const State& state);
  AggregateResult SpreadAnswer(size_t feature, Spread spread, Divisor divisor) const;

  const AggregatePlan* plan_;
  base::Timestamp as_of_;
  std::vector<State> states_;
};

// A cell as a value of `type` (not bool).
columns::Value ValueOfCell(columns::Type type, const uint64_t& cell);

}  // namespace headrace::pipeline
