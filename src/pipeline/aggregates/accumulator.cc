#include "pipeline/aggregates/accumulator.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace headrace::pipeline {
namespace {

using columns::Type;
using columns::Value;

// A double's bits as an integer that orders as IEEE 754's totalOrder does, all NaNs being one. Its
// own inverse on the bits.
int64_t FlipNegative(int64_t bits) {
  return bits ^ static_cast<int64_t>(static_cast<uint64_t>(bits >> 63) >> 1);
}

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

Value ValueOfCell(Type type, const uint64_t& cell) {
  switch (CellKindOf(type)) {
    case CellKind::kInteger: return Value(type, static_cast<int64_t>(cell));
    case CellKind::kDouble: return Value(type, std::bit_cast<double>(cell));
    case CellKind::kText: return Value(type, std::string(TextCell::Read(cell)));
    case CellKind::kBool: break;
  }
  HR_CHECK(false, "a bool has no cell");
}

Accumulators::Accumulators(const AggregatePlan& plan)
    : plan_(&plan), states_(plan.slots().size()) {}

void Accumulators::Add(const RowBlock& block, RowMask rows) {
  for (size_t i = 0; i < states_.size(); ++i) AddSlot(plan_->slots()[i], block, rows, states_[i]);
}

void Accumulators::AddWithoutPartial(const RowBlock& block, RowMask rows) {
  for (size_t i = 0; i < states_.size(); ++i) {
    const Slot& slot = plan_->slots()[i];
    if (!slot.has_partial()) AddSlot(slot, block, rows, states_[i]);
  }
}

void Accumulators::AddSlot(const Slot& slot, const RowBlock& block, RowMask rows, State& state) {
  if (slot.where) rows &= block.arguments[*slot.where].valid & block.arguments[*slot.where].truth;
  if (slot.kind == Slot::Kind::kNewest) return AddNewest(state, block, slot, rows);
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
    case Slot::Kind::kNewest: break;
  }
  state.count += count;
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

void Accumulators::AddNewest(State& state, const RowBlock& block, const Slot& slot, RowMask rows) {
  if (rows == 0) return;
  const auto row = static_cast<uint32_t>(63 - std::countl_zero(rows));
  const int64_t time = block.times[row];
  const uint64_t position = block.positions[row];
  const bool newer = state.count == 0 || time > state.newest_time ||
                     (time == state.newest_time && position > state.newest_position);
  ++state.count;
  if (!newer) return;
  const ArgumentBlock& argument = block.arguments[*slot.argument];
  state.newest_time = time;
  state.newest_position = position;
  state.newest_valid = ((argument.valid >> row) & 1) != 0;
  state.newest_cell =
      slot.cell == CellKind::kBool ? (argument.truth >> row) & 1 : argument.cells[row];
}

void Accumulators::MergePartials(std::span<const SlotPartial> partials) {
  for (size_t i = 0; i < states_.size(); ++i) {
    const SlotPartial& partial = partials[i];
    State& state = states_[i];
    switch (plan_->slots()[i].kind) {
      case Slot::Kind::kIntegerRange:
      case Slot::Kind::kDoubleRange:
        AddRange(state, partial.least, partial.greatest, partial.count);
        continue;
      case Slot::Kind::kIntegerSum: state.integers += partial.sum; break;
      case Slot::Kind::kDoubleSum: state.doubles.AddUnits(partial.sum); break;
      case Slot::Kind::kTruths: state.truths += partial.truths; break;
      case Slot::Kind::kRows: break;
      default: continue;
    }
    state.count += partial.count;
  }
}

bool Accumulators::WritePartials(std::span<SlotPartial> out) const {
  for (size_t i = 0; i < states_.size(); ++i) {
    const State& state = states_[i];
    if (!state.doubles.fits_units()) return false;
    const Int128 sum =
        plan_->slots()[i].kind == Slot::Kind::kDoubleSum ? state.doubles.units() : state.integers;
    out[i] = {.sum = sum,
              .least = state.least,
              .greatest = state.greatest,
              .count = static_cast<uint32_t>(state.count),
              .truths = static_cast<uint32_t>(state.truths)};
  }
  return true;
}

void Accumulators::Merge(const Accumulators& other) {
  for (size_t i = 0; i < states_.size(); ++i) MergeState(states_[i], other.states_[i]);
}

void Accumulators::MergeState(State& state, const State& other) {
  if (other.count == 0) return;
  const bool first = state.count == 0;
  if (first || other.least_text < state.least_text) state.least_text = other.least_text;
  if (first || other.greatest_text > state.greatest_text) state.greatest_text = other.greatest_text;
  if (first || other.newest_time > state.newest_time ||
      (other.newest_time == state.newest_time && other.newest_position > state.newest_position)) {
    state.newest_time = other.newest_time;
    state.newest_position = other.newest_position;
    state.newest_cell = other.newest_cell;
    state.newest_valid = other.newest_valid;
  }
  state.truths += other.truths;
  state.integers += other.integers;
  state.doubles.Merge(other.doubles);
  state.buckets.insert(state.buckets.end(), other.buckets.begin(), other.buckets.end());
  AddRange(state, other.least, other.greatest, other.count);
}

AggregateResult Accumulators::Sum(const AggregateSpec& spec, const Slot& slot, const State& state) {
  const bool integers = slot.kind == Slot::Kind::kIntegerSum;
  if (spec.kind == AggregateKind::kMean || !columns::IsInteger(spec.result_type)) {
    const double sum = integers ? RoundScaled(state.integers, 0) : state.doubles.Round();
    if (spec.kind == AggregateKind::kMean)
      return {Value(spec.result_type, sum / static_cast<double>(state.count))};
    return {Value(spec.result_type, sum)};
  }
  constexpr Int128 kMin = std::numeric_limits<int64_t>::min();
  constexpr Int128 kMax = std::numeric_limits<int64_t>::max();
  if (state.integers < kMin || state.integers > kMax)
    return {Value::Null(spec.result_type), AggregateResult::Range::kOutside};
  return {Value(spec.result_type, static_cast<int64_t>(state.integers))};
}

AggregateResult Accumulators::RangeEnd(const AggregateSpec& spec, const Slot& slot,
                                       const State& state) {
  const bool least = spec.kind == AggregateKind::kMin;
  const int64_t end = least ? state.least : state.greatest;
  switch (slot.cell) {
    case CellKind::kText:
      return {Value(spec.result_type, std::string(least ? state.least_text : state.greatest_text))};
    case CellKind::kBool: return {Value::Bool(end != 0)};
    case CellKind::kDouble:
      return {Value(spec.result_type, std::bit_cast<double>(FlipNegative(end)))};
    case CellKind::kInteger: break;
  }
  return {Value(spec.result_type, end)};
}

AggregateResult Accumulators::Result(size_t feature) {
  const AggregateSpec& spec = plan_->specs()[feature];
  const Slot& slot = plan_->slots()[plan_->slot_of(feature)];
  State& state = states_[plan_->slot_of(feature)];
  if (spec.kind == AggregateKind::kCount) return {Value::Int64(static_cast<int64_t>(state.count))};
  if (state.count == 0) return {Value::Null(spec.result_type)};
  switch (spec.kind) {
    case AggregateKind::kCount: break;
    case AggregateKind::kSum:
    case AggregateKind::kMean: return Sum(spec, slot, state);
    case AggregateKind::kMin:
    case AggregateKind::kMax: return RangeEnd(spec, slot, state);
    case AggregateKind::kShare:
      return {Value(spec.result_type,
                    static_cast<double>(state.truths) / static_cast<double>(state.count))};
    case AggregateKind::kQuantile: {
      const double edge = EdgeOf(BucketAtQuantile(state.buckets, spec.quantile), slot.bits);
      return {Value(spec.result_type, edge)};
    }
    case AggregateKind::kLast:
      if (!state.newest_valid) break;
      if (slot.cell == CellKind::kBool) return {Value::Bool(state.newest_cell != 0)};
      return {ValueOfCell(spec.result_type, state.newest_cell)};
  }
  return {Value::Null(spec.result_type)};
}

bool Accumulators::AllHaveRows() const {
  return std::all_of(states_.begin(), states_.end(),
                     [](const State& state) { return state.count > 0; });
}

void Accumulators::Reset() {
  for (State& state : states_) {
    std::vector<Bucket> buckets = std::move(state.buckets);
    buckets.clear();
    state = State();
    state.buckets = std::move(buckets);
  }
}

}  // namespace headrace::pipeline
