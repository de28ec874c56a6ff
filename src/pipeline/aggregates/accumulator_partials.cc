// What is kept of accumulated rows in a few bytes, and added again.

#include <new>

#include "pipeline/aggregates/accumulator.h"

namespace headrace::pipeline {
namespace {

Integer256 SquaresIn(const SlotPartial& partial) {
  return {{static_cast<uint64_t>(partial.sum),
           static_cast<uint64_t>(static_cast<unsigned __int128>(partial.sum) >> 64),
           static_cast<uint64_t>(partial.least), static_cast<uint64_t>(partial.greatest)}};
}

void WriteSquares(const Integer256& squares, SlotPartial& partial) {
  partial.sum = static_cast<Int128>(static_cast<unsigned __int128>(squares.words[1]) << 64 |
                                    squares.words[0]);
  partial.least = static_cast<int64_t>(squares.words[2]);
  partial.greatest = static_cast<int64_t>(squares.words[3]);
}

}  // namespace

void Accumulators::MergePartials(std::span<const SlotPartial> partials) {
  for (size_t i = 0; i < states_.size(); ++i)
    MergePartial(plan_->slots()[i], partials[i], states_[i]);
}

void Accumulators::MergePartial(const Slot& slot, const SlotPartial& partial, State& state) {
  if (partial.count == 0) return;
  switch (slot.kind) {
    case Slot::Kind::kIntegerRange:
    case Slot::Kind::kDoubleRange:
    case Slot::Kind::kBoolRange:
      return AddRange(state, partial.least, partial.greatest, partial.count);
    case Slot::Kind::kTextRange: {
      const auto least = TextCell::Read(reinterpret_cast<const uint64_t&>(partial.least));
      const auto greatest = TextCell::Read(reinterpret_cast<const uint64_t&>(partial.greatest));
      if (state.count == 0 || least < state.least_text) state.least_text = least;
      if (state.count == 0 || greatest > state.greatest_text) state.greatest_text = greatest;
      break;
    }
    case Slot::Kind::kNewest:
    case Slot::Kind::kOldest: {
      const auto position = static_cast<uint64_t>(partial.greatest);
      if (!IsBeyond(slot, state, partial.least, position)) break;
      state.end_time = partial.least;
      state.end_position = position;
      state.end_cell = static_cast<uint64_t>(partial.sum);
      state.end_valid = partial.truths != 0;
      break;
    }
    case Slot::Kind::kIntegerSum: state.integers += partial.sum; break;
    case Slot::Kind::kDoubleSum: state.doubles.AddUnits(partial.sum); break;
    case Slot::Kind::kTruths: state.truths += partial.truths; break;
    case Slot::Kind::kRows: break;
    case Slot::Kind::kIntegerSquares:
    case Slot::Kind::kDoubleSquares: state.squares().AddUnits(SquaresIn(partial)); break;
    case Slot::Kind::kBuckets:
    case Slot::Kind::kDistinct:
    case Slot::Kind::kNewestRows:
    case Slot::Kind::kOldestRows:
    case Slot::Kind::kFrequencies:
    case Slot::Kind::kRecentValues:
    case Slot::Kind::kDecayed: return;
  }
  state.count += partial.count;
}

void Accumulators::SubtractPartial(const Slot& slot, const SlotPartial& partial, State& state) {
  if (slot.kind == Slot::Kind::kDoubleSum) state.doubles.AddUnits(-partial.sum);
  if (slot.kind == Slot::Kind::kIntegerSum) state.integers -= partial.sum;
  state.truths -= partial.truths;
  state.count -= partial.count;
}

void Accumulators::MergeRun(const PartialRun& run) {
  if (run.first == run.end) return;
  const size_t slots = states_.size();
  for (size_t i = 0; i < slots; ++i) {
    const Slot& slot = plan_->slots()[i];
    const SlotPartial* partials = run.partials + i;
    if (slot.is_additive()) {
      MergePartial(slot, partials[(run.end - 1) * slots], states_[i]);
      if (run.first > 0) SubtractPartial(slot, partials[(run.first - 1) * slots], states_[i]);
      continue;
    }
    for (uint32_t at = run.end; at-- > run.first;)
      MergePartial(slot, partials[at * slots], states_[i]);
  }
}

bool Accumulators::WritePartials(std::span<SlotPartial> out) const {
  for (size_t i = 0; i < states_.size(); ++i) {
    const State& state = states_[i];
    if (!state.doubles.fits_units()) return false;
    out[i] = {.sum = state.integers,
              .least = state.least,
              .greatest = state.greatest,
              .count = state.count,
              .truths = state.truths};
    switch (plan_->slots()[i].kind) {
      case Slot::Kind::kDoubleSum: out[i].sum = state.doubles.units(); break;
      case Slot::Kind::kTextRange:
        out[i].least = static_cast<int64_t>(TextCell::Of(state.least_text));
        out[i].greatest = static_cast<int64_t>(TextCell::Of(state.greatest_text));
        break;
      case Slot::Kind::kNewest:
      case Slot::Kind::kOldest:
        out[i].least = state.end_time;
        out[i].greatest = static_cast<int64_t>(state.end_position);
        out[i].sum = static_cast<Int128>(state.end_cell);
        out[i].truths = state.end_valid ? 1 : 0;
        break;
      case Slot::Kind::kIntegerSquares:
      case Slot::Kind::kDoubleSquares:
        if (!state.squares().fits_units()) return false;
        WriteSquares(state.squares().units(), out[i]);
        break;
      default: break;
    }
  }
  return true;
}

bool AppendToRun(const AggregatePlan& plan, SlotPartial* run, uint32_t at,
                 std::span<const SlotPartial> block) {
  // -2^127 units are left out: a total must have a negative to be taken away by.
  constexpr auto kLeast = static_cast<Int128>(static_cast<unsigned __int128>(1) << 127);
  const size_t slots = plan.slots().size();
  SlotPartial* to = run + at * slots;
  bool fits = !block.empty();
  for (size_t i = 0; i < slots; ++i) {
    SlotPartial& partial = *new (to + i) SlotPartial(block.empty() ? SlotPartial{} : block[i]);
    if (!plan.slots()[i].is_additive()) continue;
    if (at > 0) {
      const SlotPartial& before = *(to + i - slots);
      fits &= !__builtin_add_overflow(partial.sum, before.sum, &partial.sum);
      partial.count += before.count;
      partial.truths += before.truths;
    }
    fits &= partial.sum != kLeast;
  }
  if (fits || block.empty()) return true;
  AppendToRun(plan, run, at, {});
  return false;
}

void BlockOfRun(const AggregatePlan& plan, const SlotPartial* run, uint32_t at,
                std::span<SlotPartial> out) {
  const size_t slots = plan.slots().size();
  const SlotPartial* from = run + at * slots;
  for (size_t i = 0; i < slots; ++i) {
    out[i] = from[i];
    if (!plan.slots()[i].is_additive() || at == 0) continue;
    const SlotPartial& before = *(from + i - slots);
    out[i].sum -= before.sum;
    out[i].count -= before.count;
    out[i].truths -= before.truths;
  }
}

}  // namespace headrace::pipeline
