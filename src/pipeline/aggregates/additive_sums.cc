#include "pipeline/aggregates/additive_sums.h"

#include <bit>
#include <limits>

namespace headrace::pipeline {
namespace {

bool Bit(RowMask mask, uint32_t row) { return ((mask >> row) & 1) != 0; }

AdditiveResult Double(double value) {
  return {AdditiveResult::Kind::kPresent, std::bit_cast<uint64_t>(value)};
}

}  // namespace

bool RowPartials(const AggregatePlan& plan, const RowBlock& block, uint32_t row, SlotPartial* out) {
  const auto& slots = plan.slots();
  for (size_t i = 0; i < slots.size(); ++i) {
    const Slot& slot = slots[i];
    SlotPartial& partial = out[i];
    partial.sum = 0;
    partial.truths = 0;
    partial.count = 0;
    if (slot.where &&
        !Bit(block.arguments[*slot.where].valid & block.arguments[*slot.where].truth, row))
      continue;
    if (!slot.argument) {
      partial.count = 1;
      continue;
    }
    const ArgumentBlock& argument = block.arguments[*slot.argument];
    if (!Bit(argument.valid, row)) continue;
    partial.count = 1;
    if (slot.kind == Slot::Kind::kIntegerSum) {
      partial.sum = static_cast<int64_t>(argument.cells[row]);
    } else if (slot.kind == Slot::Kind::kDoubleSum) {
      const auto v = std::bit_cast<double>(argument.cells[row]);
      if (!ExactSum::UnitsOf(v, partial.sum) && v != 0) [[unlikely]]
        return false;
    } else if (slot.kind == Slot::Kind::kTruths) {
      partial.truths = Bit(argument.truth, row) ? 1 : 0;
    }
  }
  return true;
}

AdditiveResult ResultOf(const AggregatePlan& plan, size_t feature, base::Duration window,
                        const SlotPartial* sums) {
  using enum AdditiveResult::Kind;
  const AggregateSpec& spec = plan.specs()[feature];
  const Slot& slot = plan.slots()[plan.slot_of(feature)];
  const SlotPartial& sum = sums[plan.slot_of(feature)];
  if (spec.kind == AggregateKind::kCount) return {kPresent, sum.count};
  const double seconds = static_cast<double>(window.count()) / 1e6;
  const bool rate = spec.kind == AggregateKind::kRate;
  if (rate && !spec.argument) return Double(static_cast<double>(sum.count) / seconds);
  if (sum.count == 0) return {kNull, 0};
  if (spec.kind == AggregateKind::kShare)
    return Double(static_cast<double>(sum.truths) / static_cast<double>(sum.count));
  const bool integers = slot.kind == Slot::Kind::kIntegerSum;
  if (spec.kind == AggregateKind::kMean || !columns::IsInteger(spec.result_type)) {
    const double rounded = RoundScaled(sum.sum, integers ? 0 : ExactSum::kUnitExponent);
    if (rate) return Double(rounded / seconds);
    return Double(spec.kind == AggregateKind::kMean ? rounded / static_cast<double>(sum.count)
                                                    : rounded);
  }
  if (sum.sum < std::numeric_limits<int64_t>::min() ||
      sum.sum > std::numeric_limits<int64_t>::max())
    return {kOutside, 0};
  return {kPresent, static_cast<uint64_t>(sum.sum)};
}

}  // namespace headrace::pipeline
