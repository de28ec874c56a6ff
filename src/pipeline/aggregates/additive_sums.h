#pragma once
// Sums that rows come into and leave again, for plans whose slots are all additive: a SlotPartial a
// slot, and nothing beside it. What does not fit (sums beyond 128 bits of units, doubles that are
// no whole number of units, infinities) is refused, and is for Accumulators.

#include <cstdint>

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

// Accumulators::Result of a feature with an additive slot over a window of this length, as eight
// bytes: an integer or a double.
struct AdditiveResult {
  enum class Kind : uint8_t { kPresent, kNull, kOutside } kind;
  uint64_t cell;
};
AdditiveResult ResultOf(const AggregatePlan& plan, size_t feature, base::Duration window,
                        const SlotPartial* sums);

}  // namespace headrace::pipeline
