#pragma once
// Sums that rows come into and leave again, for plans whose slots are all additive: a SlotPartial a
// slot, and nothing beside it. What does not fit (sums beyond 128 bits of units, doubles that are
// no whole number of units, infinities) is refused, and is for Accumulators.

#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/aggregates/accumulator.h"

namespace headrace::pipeline {

// What one row adds to each slot. False when a value does not fit.
bool RowPartials(const AggregatePlan& plan, const RowBlock& block, uint32_t row, SlotPartial* out);

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

}  // namespace headrace::pipeline
