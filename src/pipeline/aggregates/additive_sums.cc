#include "pipeline/aggregates/additive_sums.h"

#include <algorithm>
#include <bit>

namespace headrace::pipeline {

void AdditiveSums::Add(const RowBlock& block, RowMask rows) {
  const auto& slots = plan_->slots();
  for (size_t i = 0; i < slots.size(); ++i) {
    const Slot& slot = slots[i];
    RowMask counted = rows;
    if (slot.where)
      counted &= block.arguments[*slot.where].valid & block.arguments[*slot.where].truth;
    SlotPartial part;
    if (slot.argument) {
      const ArgumentBlock& argument = block.arguments[*slot.argument];
      counted &= argument.valid;
      if (slot.kind == Slot::Kind::kTruths) {
        part.truths = static_cast<uint64_t>(std::popcount(counted & argument.truth));
      } else if (slot.kind == Slot::Kind::kIntegerSum) {
        ForEachRow(counted,
                   [&](uint32_t row) { part.sum += static_cast<int64_t>(argument.cells[row]); });
      } else if (slot.kind == Slot::Kind::kDoubleSum) {
        ForEachRow(counted, [&](uint32_t row) {  // at most 64 terms of 2^119: can't overflow
          const auto v = std::bit_cast<double>(argument.cells[row]);
          Int128 term = 0;
          if (!ExactSum::UnitsOf(v, term) && v != 0) [[unlikely]]
            fit_ = false;
          part.sum += term;
        });
      }
    }
    part.count = static_cast<uint64_t>(std::popcount(counted));
    MergeSlot(i, part);
  }
}

void AdditiveSums::MergeRun(const PartialRun& run) {
  if (run.first == run.end) return;
  const size_t slots = sums_.size();
  const SlotPartial* last = run.partials + (run.end - 1) * slots;
  fit_ &= AddPartials(sums_.data(), last, slots);
  if (run.first > 0)
    fit_ &= SubtractPartials(sums_.data(), run.partials + (run.first - 1) * slots, slots);
}

void AdditiveSums::Reset() {
  std::ranges::fill(sums_, SlotPartial{});
  fit_ = true;
}

AdditiveFeature::AdditiveFeature(const AggregatePlan& plan, size_t feature, base::Duration window)
    : slot_(plan.slot_of(feature)), seconds_(static_cast<double>(window.count()) / 1e6) {
  const AggregateSpec& spec = plan.specs()[feature];
  const bool rate = spec.kind == AggregateKind::kRate;
  if (plan.slots()[slot_].kind == Slot::Kind::kDoubleSum) exponent_ = ExactSum::kUnitExponent;
  if (spec.kind == AggregateKind::kCount) {
    how_ = How::kCount;
  } else if (rate && !spec.argument) {
    how_ = How::kCountRate;
  } else if (spec.kind == AggregateKind::kShare) {
    how_ = How::kShare;
  } else if (spec.kind == AggregateKind::kMean) {
    how_ = How::kMean;
  } else if (columns::IsInteger(spec.result_type)) {
    how_ = How::kInteger;
  } else {
    how_ = rate ? How::kSumRate : How::kSum;
  }
}

}  // namespace headrace::pipeline
