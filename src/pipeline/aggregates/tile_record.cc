#include "pipeline/aggregates/tile_record.h"

#include <cstring>

namespace headrace::pipeline {
namespace {

// Runs are shorter than 2^20 records.
constexpr Int128 kSumMax = Int128{1} << 100;
constexpr uint64_t kCountMax = uint64_t{1} << 40;

uint64_t Word(const uint8_t* from, size_t word) {
  uint64_t value;
  std::memcpy(&value, from + word * sizeof(value), sizeof(value));
  return value;
}

void SetWord(uint8_t* to, size_t word, uint64_t value) {
  std::memcpy(to + word * sizeof(value), &value, sizeof(value));
}

Int128 Sum(const uint8_t* from) {
  return static_cast<Int128>(static_cast<Unsigned128>(Word(from, 1)) << 64 | Word(from, 0));
}

void SetSum(uint8_t* to, Int128 sum) {
  SetWord(to, 0, static_cast<uint64_t>(sum));
  SetWord(to, 1, static_cast<uint64_t>(static_cast<Unsigned128>(sum) >> 64));
}

Int128 Wrapping(Int128 a, Int128 b, bool add) {
  const auto x = static_cast<Unsigned128>(a);
  const auto y = static_cast<Unsigned128>(b);
  return static_cast<Int128>(add ? x + y : x - y);
}

}  // namespace

TileRecords::TileRecords(const AggregatePlan& plan) : plan_(&plan) {
  for (const Slot& slot : plan.slots()) {
    offsets_.push_back(bytes_);
    bytes_ += slot.record_bytes();
    need_more_ = need_more_ || slot.record_bytes() == 0;
  }
}

bool TileRecords::Fits(std::span<const SlotPartial> partials) const {
  for (size_t i = 0; i < partials.size(); ++i) {
    if (!plan_->slots()[i].is_additive()) continue;
    const SlotPartial& partial = partials[i];
    if (partial.sum >= kSumMax || partial.sum <= -kSumMax || partial.count >= kCountMax)
      return false;
  }
  return true;
}

SlotPartial TileRecords::Load(const uint8_t* record, size_t slot) const {
  const uint8_t* from = record + offsets_[slot];
  SlotPartial partial;
  switch (plan_->slots()[slot].kind) {
    case Slot::Kind::kRows: partial.count = Word(from, 0); break;
    case Slot::Kind::kTruths:
      partial.count = Word(from, 0);
      partial.truths = Word(from, 1);
      break;
    case Slot::Kind::kIntegerSum:
    case Slot::Kind::kDoubleSum:
      partial.sum = Sum(from);
      partial.count = Word(from, 2);
      break;
    case Slot::Kind::kIntegerRange:
    case Slot::Kind::kDoubleRange:
    case Slot::Kind::kBoolRange:
      partial.least = static_cast<int64_t>(Word(from, 0));
      partial.greatest = static_cast<int64_t>(Word(from, 1));
      partial.count = Word(from, 2);
      break;
    case Slot::Kind::kNewest:
    case Slot::Kind::kOldest:
      partial.least = static_cast<int64_t>(Word(from, 0));
      partial.greatest = static_cast<int64_t>(Word(from, 1));
      partial.sum = static_cast<Int128>(Word(from, 2));
      partial.count = Word(from, 3) >> 1;
      partial.truths = Word(from, 3) & 1;
      break;
    default:  // squares
      partial.sum = Sum(from);
      partial.least = static_cast<int64_t>(Word(from, 2));
      partial.greatest = static_cast<int64_t>(Word(from, 3));
      partial.count = Word(from, 4);
      break;
  }
  return partial;
}

void TileRecords::Store(uint8_t* record, size_t slot, const SlotPartial& partial) const {
  uint8_t* to = record + offsets_[slot];
  switch (plan_->slots()[slot].kind) {
    case Slot::Kind::kRows: return SetWord(to, 0, partial.count);
    case Slot::Kind::kTruths: SetWord(to, 0, partial.count); return SetWord(to, 1, partial.truths);
    case Slot::Kind::kIntegerSum:
    case Slot::Kind::kDoubleSum: SetSum(to, partial.sum); return SetWord(to, 2, partial.count);
    case Slot::Kind::kIntegerRange:
    case Slot::Kind::kDoubleRange:
    case Slot::Kind::kBoolRange:
      SetWord(to, 0, static_cast<uint64_t>(partial.least));
      SetWord(to, 1, static_cast<uint64_t>(partial.greatest));
      return SetWord(to, 2, partial.count);
    case Slot::Kind::kNewest:
    case Slot::Kind::kOldest:
      SetWord(to, 0, static_cast<uint64_t>(partial.least));
      SetWord(to, 1, static_cast<uint64_t>(partial.greatest));
      SetWord(to, 2, static_cast<uint64_t>(partial.sum));
      return SetWord(to, 3, partial.count << 1 | partial.truths);
    default:
      SetSum(to, partial.sum);
      SetWord(to, 2, static_cast<uint64_t>(partial.least));
      SetWord(to, 3, static_cast<uint64_t>(partial.greatest));
      return SetWord(to, 4, partial.count);
  }
}

void TileRecords::Append(uint8_t* run, size_t at, std::span<const SlotPartial> partials) const {
  uint8_t* record = run + at * bytes_;
  for (size_t i = 0; i < offsets_.size(); ++i) {
    const Slot& slot = plan_->slots()[i];
    if (slot.record_bytes() == 0) continue;
    SlotPartial partial = partials.empty() ? SlotPartial{} : partials[i];
    if (slot.is_additive() && at > 0) {
      const SlotPartial before = Load(record - bytes_, i);
      partial.sum = Wrapping(partial.sum, before.sum, true);
      partial.count += before.count;
      partial.truths += before.truths;
    }
    Store(record, i, partial);
  }
}

// Of an additive slot.
SlotPartial TileRecords::Difference(const uint8_t* run, size_t first, size_t end,
                                    size_t slot) const {
  SlotPartial total = Load(run + (end - 1) * bytes_, slot);
  if (first == 0) return total;
  const SlotPartial before = Load(run + (first - 1) * bytes_, slot);
  total.sum = Wrapping(total.sum, before.sum, false);
  total.count -= before.count;
  total.truths -= before.truths;
  return total;
}

void TileRecords::Read(const uint8_t* run, size_t at, std::span<SlotPartial> out) const {
  for (size_t i = 0; i < offsets_.size(); ++i) {
    const Slot& slot = plan_->slots()[i];
    if (slot.record_bytes() == 0) continue;
    out[i] = slot.is_additive() ? Difference(run, at, at + 1, i) : Load(run + at * bytes_, i);
  }
}

void TileRecords::Merge(const uint8_t* run, size_t first, size_t end, Accumulators& into) const {
  if (first == end) return;
  for (size_t i = 0; i < offsets_.size(); ++i) {
    const Slot& slot = plan_->slots()[i];
    if (slot.record_bytes() == 0) continue;
    if (slot.is_additive()) {
      into.MergeSlot(i, Difference(run, first, end, i));
      continue;
    }
    for (size_t at = end; at-- > first;) into.MergeSlot(i, Load(run + at * bytes_, i));
  }
}

void TileRecords::Merge(const uint8_t* run, size_t first, size_t end, AdditiveSums& into) const {
  if (first == end) return;
  for (size_t i = 0; i < offsets_.size(); ++i) into.MergeSlot(i, Difference(run, first, end, i));
}

}  // namespace headrace::pipeline
