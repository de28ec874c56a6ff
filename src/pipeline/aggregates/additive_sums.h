#pragma once
// Sums that rows come into and leave again, for plans whose slots are all additive: a SlotPartial a
// slot, and nothing beside it. What does not fit (sums beyond 128 bits of units, doubles that are
// no whole number of units, infinities) is refused, and is for Accumulators.

#include <bit>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "pipeline/aggregates/accumulator.h"

namespace headrace::pipeline {

// What one row adds to each slot. False when a value does not fit.
inline bool RowPartials(const AggregatePlan& plan, const RowBlock& block, uint32_t row,
                        SlotPartial* out) {
  const auto bit = [row](RowMask mask) { return ((mask >> row) & 1) != 0; };
  const auto& slots = plan.slots();
  for (size_t i = 0; i < slots.size(); ++i) {
    const Slot& slot = slots[i];
    SlotPartial& partial = out[i];
    partial.sum = 0;
    partial.truths = 0;
    partial.count = 0;
    if (slot.where && !bit(block.arguments[*slot.where].valid & block.arguments[*slot.where].truth))
      continue;
    if (!slot.argument) {
      partial.count = 1;
      continue;
    }
    const ArgumentBlock& argument = block.arguments[*slot.argument];
    if (!bit(argument.valid)) continue;
    partial.count = 1;
    if (slot.kind == Slot::Kind::kIntegerSum) {
      partial.sum = static_cast<int64_t>(argument.cells[row]);
    } else if (slot.kind == Slot::Kind::kDoubleSum) {
      const auto v = std::bit_cast<double>(argument.cells[row]);
      if (!ExactSum::UnitsOf(v, partial.sum) && v != 0) [[unlikely]]
        return false;
    } else if (slot.kind == Slot::Kind::kTruths) {
      partial.truths = bit(argument.truth) ? 1 : 0;
    }
  }
  return true;
}

// False when a sum does not fit any more; `sums` is then worthless.
inline bool AddPartials(SlotPartial* sums, const SlotPartial* part, size_t slots) {
  bool fits = true;
  for (size_t i = 0; i < slots; ++i) {
    fits &= !__builtin_add_overflow(sums[i].sum, part[i].sum, &sums[i].sum);
    sums[i].count += part[i].count;
    sums[i].truths += part[i].truths;
  }
  return fits;
}
inline bool SubtractPartials(SlotPartial* sums, const SlotPartial* part, size_t slots) {
  bool fits = true;
  for (size_t i = 0; i < slots; ++i) {
    fits &= !__builtin_sub_overflow(sums[i].sum, part[i].sum, &sums[i].sum);
    sums[i].count -= part[i].count;
    sums[i].truths -= part[i].truths;
  }
  return fits;
}

// What Accumulators is to any plan, to an additive one: the rows of a pass, added up. What does not
// fit is remembered, and `sums` is then worthless. Not thread-safe.
class AdditiveSums {
 public:
  // `plan` outlives it.
  explicit AdditiveSums(const AggregatePlan& plan) : plan_(&plan), sums_(plan.slots().size()) {}

  void Add(const RowBlock& block, RowMask rows);
  void MergeRun(const PartialRun& run);
  void MergeSlot(size_t slot, const SlotPartial& part) {
    fit_ &= !__builtin_add_overflow(sums_[slot].sum, part.sum, &sums_[slot].sum);
    sums_[slot].count += part.count;
    sums_[slot].truths += part.truths;
  }
  // Something was to be added that has no place here.
  void SetUnfit() { fit_ = false; }
  // Additive slots know no question's time, and all have partials.
  void SetAsOf(base::Timestamp) {}
  void AddWithoutPartial(const RowBlock&, RowMask) {}
  bool NeedsOlderRows() const { return false; }
  bool AllHaveRows() const { return false; }

  bool fit() const { return fit_; }
  std::span<const SlotPartial> sums() const { return sums_; }
  void Reset();

 private:
  const AggregatePlan* plan_;
  std::vector<SlotPartial> sums_;
  bool fit_ = true;
};

// Accumulators::Result of a feature with an additive slot over a window of this length, as eight
// bytes: an integer or a double.
struct AdditiveResult {
  enum class Kind : uint8_t { kPresent, kNull, kOutside } kind;
  uint64_t cell;
};
// How it follows from the feature's slot. Immutable.
class AdditiveFeature {
 public:
  AdditiveFeature(const AggregatePlan& plan, size_t feature, base::Duration window);
  AdditiveResult Of(const SlotPartial* sums) const;

 private:
  enum class How : uint8_t { kCount, kCountRate, kShare, kInteger, kSum, kSumRate, kMean };
  How how_;
  int exponent_ = 0;  // of a unit of the sum
  size_t slot_;
  double seconds_;
};

inline AdditiveResult AdditiveFeature::Of(const SlotPartial* sums) const {
  using enum AdditiveResult::Kind;
  const SlotPartial& sum = sums[slot_];
  const auto present = [](double value) {
    return AdditiveResult{kPresent, std::bit_cast<uint64_t>(value)};
  };
  const auto count = static_cast<double>(sum.count);
  if (how_ == How::kCount) return {kPresent, sum.count};
  if (how_ == How::kCountRate) return present(count / seconds_);
  if (sum.count == 0) return {kNull, 0};
  switch (how_) {
    case How::kCount:
    case How::kCountRate: break;
    case How::kShare: return present(static_cast<double>(sum.truths) / count);
    case How::kSum: return present(RoundScaled(sum.sum, exponent_));
    case How::kSumRate: return present(RoundScaled(sum.sum, exponent_) / seconds_);
    case How::kMean: return present(RoundScaled(sum.sum, exponent_) / count);
    case How::kInteger: break;
  }
  if (sum.sum < std::numeric_limits<int64_t>::min() ||
      sum.sum > std::numeric_limits<int64_t>::max())
    return {kOutside, 0};
  return {kPresent, static_cast<uint64_t>(sum.sum)};
}

}  // namespace headrace::pipeline
