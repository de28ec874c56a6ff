#include "pipeline/aggregates/accumulator.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "pipeline/aggregates/decay.h"
#include "pipeline/aggregates/value_cells.h"

namespace headrace::pipeline {
namespace {

// A double's bits as an integer that orders as IEEE 754's totalOrder does, all NaNs being one.
int64_t OrderedBits(uint64_t cell) {
  if ((cell & ~(1ULL << 63)) > (0x7ffULL << 52)) [[unlikely]]
    cell = 0x7ff8ULL << 48;
  return FlipNegative(static_cast<int64_t>(cell));
}

Int128 SumIntegers(const uint64_t* cells, RowMask rows) {
  Int128 sum = 0;
  ForEachRow(rows, [&](uint32_t row) { sum += static_cast<int64_t>(cells[row]); });
  return sum;
}

void SumDoubles(const uint64_t* cells, RowMask rows, ExactSum& sum) {
  Int128 units = 0;  // at most 64 terms of 2^119: can't overflow
  ForEachRow(rows, [&](uint32_t row) {
    const auto v = std::bit_cast<double>(cells[row]);
    Int128 term;
    if (ExactSum::UnitsOf(v, term)) [[likely]] {
      units += term;
    } else {
      sum.Add(v);
    }
  });
  sum.AddUnits(units);
}

void AppendBuckets(const uint64_t* cells, RowMask rows, const Slot& slot,
                   std::vector<Bucket>& out) {
  const size_t before = out.size();
  out.resize(before + static_cast<size_t>(std::popcount(rows)));
  Bucket* next = out.data() + before;
  if (slot.cell == CellKind::kDouble) {
    ForEachRow(rows, [&](uint32_t row) {
      *next++ = BucketOf(std::bit_cast<double>(cells[row]), slot.bits);
    });
  } else {
    ForEachRow(rows, [&](uint32_t row) {
      *next++ = BucketOf(static_cast<int64_t>(cells[row]), slot.bits);
    });
  }
}

}  // namespace

Accumulators::State::State(const Slot& slot) {
  switch (slot.kind) {
    case Slot::Kind::kIntegerSquares:
    case Slot::Kind::kDoubleSquares: more.emplace<ExactSquares>(); break;
    case Slot::Kind::kDistinct: more.emplace<DistinctValues>(slot.cell, slot.bits); break;
    case Slot::Kind::kNewestRows:
      more.emplace<KeptRows>(slot.cell, KeptRows::End::kNewest, slot.size);
      break;
    case Slot::Kind::kOldestRows:
      more.emplace<KeptRows>(slot.cell, KeptRows::End::kOldest, slot.size);
      break;
    case Slot::Kind::kFrequencies: more.emplace<ValueCounts>(slot.cell); break;
    case Slot::Kind::kRecentValues: more.emplace<RecentValues>(slot.cell, slot.size); break;
    default: break;
  }
}

// Keeps the memory that the next rows will need as well.
void Accumulators::State::Reset() {
  count = truths = 0;
  integers = 0;
  least = greatest = 0;
  least_text = greatest_text = {};
  end_time = 0;
  end_position = end_cell = 0;
  end_valid = false;
  doubles.Reset();
  buckets.clear();
  bucket_counts.clear();
  std::visit(
      [](auto& of_kind) {
        if constexpr (!std::is_same_v<decltype(of_kind), std::monostate&>) of_kind.Reset();
      },
      more);
}

Accumulators::Accumulators(const AggregatePlan& plan)
    : plan_(&plan), states_(plan.slots().begin(), plan.slots().end()) {}

void Accumulators::Add(const RowBlock& block, RowMask rows) {
  for (size_t i = 0; i < states_.size(); ++i) AddSlot(plan_->slots()[i], block, rows, states_[i]);
}

void Accumulators::AddWithoutPartial(const RowBlock& block, RowMask rows) {
  for (size_t i = 0; i < states_.size(); ++i) {
    const Slot& slot = plan_->slots()[i];
    if (!slot.has_partial()) AddSlot(slot, block, rows, states_[i]);
  }
}

void Accumulators::AddWithPartial(const RowBlock& block, RowMask rows) {
  for (size_t i = 0; i < states_.size(); ++i) {
    const Slot& slot = plan_->slots()[i];
    if (slot.has_partial()) AddSlot(slot, block, rows, states_[i]);
  }
}

void Accumulators::AddSlot(const Slot& slot, const RowBlock& block, RowMask rows,
                           State& state) const {
  if (slot.where) rows &= block.arguments[*slot.where].valid & block.arguments[*slot.where].truth;
  if (slot.kind == Slot::Kind::kNewest || slot.kind == Slot::Kind::kOldest)
    return AddEnd(state, block, slot, rows);
  const ArgumentBlock argument =
      slot.argument ? block.arguments[*slot.argument] : ArgumentBlock{.valid = ~RowMask{0}};
  rows &= argument.valid;
  if (rows == 0) return;
  const auto count = static_cast<uint64_t>(std::popcount(rows));
  const uint64_t* cells = argument.cells;
  int64_t least = std::numeric_limits<int64_t>::max();
  int64_t greatest = std::numeric_limits<int64_t>::min();
  switch (slot.kind) {
    case Slot::Kind::kRows: break;
    case Slot::Kind::kIntegerSum: state.integers += SumIntegers(cells, rows); break;
    case Slot::Kind::kDoubleSum: SumDoubles(cells, rows, state.doubles); break;
    case Slot::Kind::kTruths:
      state.truths += static_cast<uint64_t>(std::popcount(rows & argument.truth));
      break;
    case Slot::Kind::kBuckets: AppendBuckets(cells, rows, slot, state.buckets); break;
    case Slot::Kind::kTextRange: return AddTextRange(state, block, slot, rows);
    case Slot::Kind::kBoolRange:
      return AddRange(state, (rows & ~argument.truth) == 0 ? 1 : 0,
                      (rows & argument.truth) != 0 ? 1 : 0, count);
    case Slot::Kind::kIntegerRange:
      ForEachRow(rows, [&](uint32_t row) {
        least = std::min(least, static_cast<int64_t>(cells[row]));
        greatest = std::max(greatest, static_cast<int64_t>(cells[row]));
      });
      return AddRange(state, least, greatest, count);
    case Slot::Kind::kDoubleRange:
      ForEachRow(rows, [&](uint32_t row) {
        least = std::min(least, OrderedBits(cells[row]));
        greatest = std::max(greatest, OrderedBits(cells[row]));
      });
      return AddRange(state, least, greatest, count);
    case Slot::Kind::kIntegerSquares:
      ForEachRow(rows, [&](uint32_t row) {
        state.squares().AddInteger(static_cast<int64_t>(cells[row]));
      });
      break;
    case Slot::Kind::kDoubleSquares:
      ForEachRow(rows, [&](uint32_t row) {
        state.squares().AddDouble(std::bit_cast<double>(cells[row]));
      });
      break;
    case Slot::Kind::kDistinct: std::get<DistinctValues>(state.more).Add(argument, rows); break;
    case Slot::Kind::kNewestRows:
    case Slot::Kind::kOldestRows: std::get<KeptRows>(state.more).Add(block, argument, rows); break;
    case Slot::Kind::kFrequencies: std::get<ValueCounts>(state.more).Add(argument, rows); break;
    case Slot::Kind::kRecentValues:
      std::get<RecentValues>(state.more).Add(block, argument, rows);
      break;
    case Slot::Kind::kDecayed: AddDecayed(state, block, slot, rows); break;
    case Slot::Kind::kNewest:
    case Slot::Kind::kOldest: break;
  }
  state.count += count;
}

// The terms are functions of a row and of as_of alone, and their sum is exact.
void Accumulators::AddDecayed(State& state, const RowBlock& block, const Slot& slot,
                              RowMask rows) const {
  const auto half_life = static_cast<uint64_t>(slot.half_life.count());
  const uint64_t* cells = slot.argument ? block.arguments[*slot.argument].cells : nullptr;
  ForEachRow(rows, [&](uint32_t row) {
    const uint64_t age = static_cast<uint64_t>(as_of_.us) - static_cast<uint64_t>(block.times[row]);
    const double weight = DecayWeight(age, half_life);
    if (weight == 0) return;
    if (slot.cell == CellKind::kDouble) {
      state.doubles.Add(std::bit_cast<double>(cells[row]) * weight);
    } else if (slot.cell == CellKind::kInteger) {
      state.doubles.Add(static_cast<double>(static_cast<int64_t>(cells[row])) * weight);
    } else {
      state.doubles.Add(weight);
    }
  });
}

void Accumulators::AddRange(State& state, int64_t least, int64_t greatest, uint64_t count) {
  if (count == 0) return;
  state.least = state.count == 0 ? least : std::min(state.least, least);
  state.greatest = state.count == 0 ? greatest : std::max(state.greatest, greatest);
  state.count += count;
}

void Accumulators::AddTextRange(State& state, const RowBlock& block, const Slot& slot,
                                RowMask rows) {
  const uint64_t* cells = block.arguments[*slot.argument].cells;
  ForEachRow(rows, [&](uint32_t row) {
    const std::string_view text = TextCell::Read(cells[row]);
    if (state.count == 0 || text < state.least_text) state.least_text = text;
    if (state.count == 0 || text > state.greatest_text) state.greatest_text = text;
    ++state.count;
  });
}

bool Accumulators::IsBeyond(const Slot& slot, const State& state, int64_t time, uint64_t position) {
  if (state.count == 0) return true;
  if (time == state.end_time && position == state.end_position) return false;
  const bool newer = time != state.end_time ? time > state.end_time : position > state.end_position;
  return newer == (slot.kind == Slot::Kind::kNewest);
}

void Accumulators::AddEnd(State& state, const RowBlock& block, const Slot& slot, RowMask rows) {
  if (rows == 0) return;
  const auto row = static_cast<uint32_t>(
      slot.kind == Slot::Kind::kNewest ? 63 - std::countl_zero(rows) : std::countr_zero(rows));
  const bool beyond = IsBeyond(slot, state, block.times[row], block.positions[row]);
  ++state.count;
  if (!beyond) return;
  state.end_time = block.times[row];
  state.end_position = block.positions[row];
  if (!slot.argument) return;
  const ArgumentBlock& argument = block.arguments[*slot.argument];
  state.end_valid = ((argument.valid >> row) & 1) != 0;
  state.end_cell = slot.cell == CellKind::kBool ? (argument.truth >> row) & 1 : argument.cells[row];
}

void Accumulators::Merge(const Accumulators& other) {
  for (size_t i = 0; i < states_.size(); ++i)
    MergeState(plan_->slots()[i], states_[i], other.states_[i]);
}

void Accumulators::MergeState(const Slot& slot, State& state, const State& other) {
  if (other.count == 0) return;
  const bool first = state.count == 0;
  if (first || other.least_text < state.least_text) state.least_text = other.least_text;
  if (first || other.greatest_text > state.greatest_text) state.greatest_text = other.greatest_text;
  if (IsBeyond(slot, state, other.end_time, other.end_position)) {
    state.end_time = other.end_time;
    state.end_position = other.end_position;
    state.end_cell = other.end_cell;
    state.end_valid = other.end_valid;
  }
  state.truths += other.truths;
  state.integers += other.integers;
  state.doubles.Merge(other.doubles);
  state.buckets.insert(state.buckets.end(), other.buckets.begin(), other.buckets.end());
  state.bucket_counts.insert(state.bucket_counts.end(), other.bucket_counts.begin(),
                             other.bucket_counts.end());
  std::visit(
      [&](auto& of_kind) {
        using OfKind = std::remove_reference_t<decltype(of_kind)>;
        if constexpr (!std::is_same_v<OfKind, std::monostate>)
          of_kind.Merge(std::get<OfKind>(other.more));
      },
      state.more);
  AddRange(state, other.least, other.greatest, other.count);
}

bool Accumulators::NeedsOlderRows() const {
  for (size_t i = 0; i < states_.size(); ++i) {
    if (plan_->slots()[i].has_partial()) continue;
    const auto& more = states_[i].more;
    if (const auto* newest = std::get_if<KeptRows>(&more); newest != nullptr && newest->is_full())
      continue;
    if (const auto* recent = std::get_if<RecentValues>(&more);
        recent != nullptr && recent->is_full())
      continue;
    return true;
  }
  return false;
}

bool Accumulators::AllHaveRows() const {
  return std::all_of(states_.begin(), states_.end(),
                     [](const State& state) { return state.count > 0; });
}

void Accumulators::Reset() {
  for (State& state : states_) state.Reset();
}

}  // namespace headrace::pipeline
