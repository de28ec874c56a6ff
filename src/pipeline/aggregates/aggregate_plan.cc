#include "pipeline/aggregates/aggregate_plan.h"

#include <algorithm>

#include "base/result.h"
#include "pipeline/aggregates/quantile_buckets.h"

namespace headrace::pipeline {
namespace {

Slot::Kind RangeOver(CellKind cell) {
  switch (cell) {
    case CellKind::kInteger: return Slot::Kind::kIntegerRange;
    case CellKind::kDouble: return Slot::Kind::kDoubleRange;
    case CellKind::kBool: return Slot::Kind::kBoolRange;
    case CellKind::kText: return Slot::Kind::kTextRange;
  }
  return Slot::Kind::kIntegerRange;
}

Slot::Kind SumOver(CellKind cell) {
  HR_CHECK(cell == CellKind::kInteger || cell == CellKind::kDouble, "only numbers can be summed");
  return cell == CellKind::kDouble ? Slot::Kind::kDoubleSum : Slot::Kind::kIntegerSum;
}

Slot SlotFor(const AggregateSpec& spec, CellKind cell) {
  Slot slot{
      .kind = Slot::Kind::kRows, .cell = cell, .argument = spec.argument, .where = spec.where};
  switch (spec.kind) {
    case AggregateKind::kCount: break;
    case AggregateKind::kRate:
      if (spec.argument) slot.kind = SumOver(cell);
      break;
    case AggregateKind::kSum:
    case AggregateKind::kMean:
    case AggregateKind::kVarSamp:
    case AggregateKind::kVarPop:
    case AggregateKind::kStddevSamp:
    case AggregateKind::kStddevPop: slot.kind = SumOver(cell); break;
    case AggregateKind::kMin:
    case AggregateKind::kMax: slot.kind = RangeOver(cell); break;
    case AggregateKind::kShare: slot.kind = Slot::Kind::kTruths; break;
    case AggregateKind::kQuantile:
      SumOver(cell);
      HR_CHECK(spec.quantile_bits >= 1 && spec.quantile_bits <= kQuantileBitsMax,
               "quantile bits out of range");
      slot.kind = Slot::Kind::kBuckets;
      slot.bits = spec.quantile_bits;
      break;
    case AggregateKind::kLast:
    case AggregateKind::kTimeSinceLast: slot.kind = Slot::Kind::kNewest; break;
    case AggregateKind::kFirst: slot.kind = Slot::Kind::kOldest; break;
    case AggregateKind::kCountDistinct: slot.kind = Slot::Kind::kDistinct; break;
    case AggregateKind::kApproxDistinct:
      slot.kind = Slot::Kind::kDistinct;
      slot.bits = spec.register_bits;
      break;
    case AggregateKind::kFirstN:
    case AggregateKind::kLastN:
      slot.kind =
          spec.kind == AggregateKind::kLastN ? Slot::Kind::kNewestRows : Slot::Kind::kOldestRows;
      slot.size = spec.size;
      break;
    case AggregateKind::kTopK:
    case AggregateKind::kTopKCounts: slot.kind = Slot::Kind::kFrequencies; break;
    case AggregateKind::kValues:
      slot.kind = Slot::Kind::kRecentValues;
      slot.size = spec.size;
      break;
    case AggregateKind::kDecayedSum:
    case AggregateKind::kDecayedCount:
      HR_CHECK(spec.half_life.count() > 0, "a decay has a half-life");
      slot.kind = Slot::Kind::kDecayed;
      slot.half_life = spec.half_life;
      if (spec.kind == AggregateKind::kDecayedCount) slot.cell = CellKind::kBool;
      break;
  }
  return slot;
}

bool IsSpread(AggregateKind kind) {
  return kind == AggregateKind::kVarSamp || kind == AggregateKind::kVarPop ||
         kind == AggregateKind::kStddevSamp || kind == AggregateKind::kStddevPop;
}

}  // namespace

AggregatePlan::AggregatePlan(std::span<const AggregateSpec> specs,
                             std::span<const columns::Type> argument_types, RowCounts row_counts)
    : specs_(specs.begin(), specs.end()),
      argument_types_(argument_types.begin(), argument_types.end()) {
  for (const AggregateSpec& spec : specs_) {
    HR_CHECK(spec.argument || RowOf(spec.kind).takes >= Takes::kStar, "an argument is missing");
    const CellKind cell =
        spec.argument ? CellKindOf(argument_types_.at(*spec.argument)) : CellKind::kInteger;
    Slot slot = SlotFor(spec, cell);
    slot_of_.push_back(AddSlot(slot));
    if (IsSpread(spec.kind))
      slot.kind =
          cell == CellKind::kDouble ? Slot::Kind::kDoubleSquares : Slot::Kind::kIntegerSquares;
    squares_of_.push_back(IsSpread(spec.kind) ? AddSlot(slot) : slot_of_.back());
  }
  if (row_counts == RowCounts::kNeeded) row_count_slot_ = AddSlot({.kind = Slot::Kind::kRows});
  only_newest_ = std::all_of(slots_.begin(), slots_.end(),
                             [](const Slot& slot) { return slot.kind == Slot::Kind::kNewest; });
  rereads_rows_ = std::any_of(slots_.begin(), slots_.end(),
                              [](const Slot& slot) { return !slot.has_partial(); });
  is_additive_ = std::all_of(slots_.begin(), slots_.end(),
                             [](const Slot& slot) { return slot.is_additive(); });
  is_captured_ = std::all_of(slots_.begin(), slots_.end(), [](const Slot& slot) {
    return slot.is_captured() || !slot.has_partial();
  });
}

size_t AggregatePlan::AddSlot(const Slot& slot) {
  const auto index =
      static_cast<size_t>(std::find(slots_.begin(), slots_.end(), slot) - slots_.begin());
  if (index == slots_.size()) slots_.push_back(slot);
  return index;
}

}  // namespace headrace::pipeline
