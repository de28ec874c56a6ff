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
    case AggregateKind::kSum:
    case AggregateKind::kMean: slot.kind = SumOver(cell); break;
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
    case AggregateKind::kLast: slot.kind = Slot::Kind::kNewest; break;
  }
  return slot;
}

}  // namespace

AggregatePlan::AggregatePlan(std::span<const AggregateSpec> specs,
                             std::span<const columns::Type> argument_types)
    : specs_(specs.begin(), specs.end()),
      argument_types_(argument_types.begin(), argument_types.end()) {
  for (const AggregateSpec& spec : specs_) {
    HR_CHECK(spec.argument || spec.kind == AggregateKind::kCount, "only count(*) has no argument");
    const CellKind cell =
        spec.argument ? CellKindOf(argument_types_.at(*spec.argument)) : CellKind::kInteger;
    const Slot slot = SlotFor(spec, cell);
    const auto found = std::find(slots_.begin(), slots_.end(), slot);
    slot_of_.push_back(static_cast<size_t>(found - slots_.begin()));
    if (found == slots_.end()) slots_.push_back(slot);
  }
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

}  // namespace headrace::pipeline
