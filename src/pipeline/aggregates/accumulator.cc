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

// Whether a row comes after the newest one so far, if there was one.
bool IsNewer(uint64_t count, int64_t newest_time, uint64_t newest_position, int64_t time,
             uint64_t position) {
  return count == 0 || time > newest_time || (time == newest_time && position > newest_position);
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
  const bool newer = IsNewer(state.count, state.newest_time, state.newest_position, time, position);
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
    case Slot::Kind::kNewest: {
      const auto position = static_cast<uint64_t>(partial.greatest);
      if (IsNewer(state.count, state.newest_time, state.newest_position, partial.least, position)) {
        state.newest_time = partial.least;
        state.newest_position = position;
        state.newest_cell = static_cast<uint64_t>(partial.sum);
        state.newest_valid = partial.truths != 0;
      }
      break;
    }
    case Slot::Kind::kIntegerSum: state.integers += partial.sum; break;
    case Slot::Kind::kDoubleSum: state.doubles.AddUnits(partial.sum); break;
    case Slot::Kind::kTruths: state.truths += partial.truths; break;
    case Slot::Kind::kRows: break;
    case Slot::Kind::kBuckets: return;
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
              .count = static_cast<uint32_t>(state.count),
              .truths = static_cast<uint32_t>(state.truths)};
    switch (plan_->slots()[i].kind) {
      case Slot::Kind::kDoubleSum: out[i].sum = state.doubles.units(); break;
      case Slot::Kind::kTextRange:
        out[i].least = static_cast<int64_t>(TextCell::Of(state.least_text));
        out[i].greatest = static_cast<int64_t>(TextCell::Of(state.greatest_text));
        break;
      case Slot::Kind::kNewest:
        out[i].least = state.newest_time;
        out[i].greatest = static_cast<int64_t>(state.newest_position);
        out[i].sum = static_cast<Int128>(state.newest_cell);
        out[i].truths = state.newest_valid ? 1 : 0;
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

void Accumulators::Merge(const Accumulators& other) {
  for (size_t i = 0; i < states_.size(); ++i) MergeState(states_[i], other.states_[i]);
}

void Accumulators::MergeState(State& state, const State& other) {
  if (other.count == 0) return;
  const bool first = state.count == 0;
  if (first || other.least_text < state.least_text) state.least_text = other.least_text;
  if (first || other.greatest_text > state.greatest_text) state.greatest_text = other.greatest_text;
  if (IsNewer(state.count, state.newest_time, state.newest_position, other.newest_time,
              other.newest_position)) {
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
  for (size_t i = 0; i < states_.size(); ++i) {
    State& state = states_[i];
    if (plan_->slots()[i].is_additive()) {  // these use no other fields
      state.count = state.truths = 0;
      state.integers = 0;
      state.doubles.Reset();
      continue;
    }
    std::vector<Bucket> buckets = std::move(state.buckets);
    buckets.clear();
    state = State();
    state.buckets = std::move(buckets);
  }
}

}  // namespace headrace::pipeline
