#pragma once
// A tile's partials in few bytes: 8 to 40 a slot, of which the plan says where they lie. Those of
// additive slots are running totals over a run of records, as in PartialRun, so that any stretch is
// one difference. Sums wrap in 128 bits and counts in 64: the difference is exact while the sums of
// a run's records are far from the limits, which Fits sees to.

#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/aggregates/accumulator.h"
#include "pipeline/aggregates/additive_sums.h"

namespace headrace::pipeline {

// Immutable; any thread may use it.
class TileRecords {
 public:
  // `plan` outlives it, and is tiled.
  explicit TileRecords(const AggregatePlan& plan);

  // Of one record; a multiple of 8.
  size_t bytes() const { return bytes_; }
  // Some slots have no place in a record: every tile has bytes beside it.
  bool need_more() const { return need_more_; }
  // Whether a record can hold them.
  bool Fits(std::span<const SlotPartial> partials) const;

  // Writes record `at` of a run, behind record at - 1. Empty: one that counts for nothing.
  void Append(uint8_t* run, size_t at, std::span<const SlotPartial> partials) const;
  // What is in record `at` alone, in all slots that have a place.
  void Read(const uint8_t* run, size_t at, std::span<SlotPartial> out) const;
  // Adds records [first, end).
  void Merge(const uint8_t* run, size_t first, size_t end, Accumulators& into) const;
  // The same of an additive plan.
  void Merge(const uint8_t* run, size_t first, size_t end, AdditiveSums& into) const;

 private:
  SlotPartial Load(const uint8_t* record, size_t slot) const;
  void Store(uint8_t* record, size_t slot, const SlotPartial& partial) const;
  SlotPartial Difference(const uint8_t* run, size_t first, size_t end, size_t slot) const;

  const AggregatePlan* plan_;
  std::vector<size_t> offsets_;  // by slot
  size_t bytes_ = 0;
  bool need_more_ = false;
};

}  // namespace headrace::pipeline
