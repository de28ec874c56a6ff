// From what was accumulated to the answers.

#include <bit>
#include <cmath>
#include <limits>

#include "pipeline/aggregates/accumulator.h"
#include "pipeline/aggregates/value_cells.h"

namespace headrace::pipeline {
namespace {

using columns::Type;
using columns::Value;

constexpr double kUsPerSecond = 1e6;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// An infinity that no infinite value made is beyond float64, not an answer.
AggregateResult InRange(double result, bool of_finite_values) {
  if (of_finite_values && std::isinf(result))
    return {Value::Null(Type::kFloat64), AggregateResult::Range::kOutside};
  return {Value::Float64(result)};
}

}  // namespace

Value ValueOfCell(Type type, const uint64_t& cell) {
  switch (CellKindOf(type)) {
    case CellKind::kInteger: return Value(type, static_cast<int64_t>(cell));
    case CellKind::kDouble: return Value(type, std::bit_cast<double>(cell));
    case CellKind::kText: return Value(type, std::string(TextCell::Read(cell)));
    case CellKind::kBool: return Value::Bool(cell != 0);
  }
  return Value::Null(type);
}

double Accumulators::RoundedSum(const Slot& slot, const State& state) {
  return slot.kind == Slot::Kind::kIntegerSum ? RoundScaled(state.integers, 0)
                                              : state.doubles.Round();
}

double Accumulators::Quotient(const Slot& slot, const State& state, double divisor) {
  const double sum = RoundedSum(slot, state);
  if (std::isinf(sum) && state.doubles.finite())
    return state.doubles.RoundDown(ExactSum::kSpareBits) / divisor * 0x1p64;
  return sum / divisor;
}

AggregateResult Accumulators::Sum(const AggregateSpec& spec, const Slot& slot, const State& state) {
  if (!columns::IsInteger(spec.result_type))
    return InRange(RoundedSum(slot, state), state.doubles.finite());
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

AggregateResult Accumulators::EndValue(const AggregateSpec& spec, const Slot& slot,
                                       const State& state) {
  if (!state.end_valid) return {Value::Null(spec.result_type)};
  if (slot.cell == CellKind::kBool) return {Value::Bool(state.end_cell != 0)};
  return {ValueOfCell(spec.result_type, state.end_cell)};
}

AggregateResult Accumulators::Distinct(const State& state) {
  const auto count = std::get<DistinctValues>(state.more).Count();
  if (!count) return {Value::Null(Type::kInt64), AggregateResult::Range::kOutside};
  return {Value::Int64(static_cast<int64_t>(*count))};
}

AggregateResult Accumulators::List(const AggregateSpec& spec, const State& state) {
  const Type element = columns::ElementOf(spec.result_type);
  Value::Elements elements;
  const auto append = [&](const std::vector<uint64_t>& cells) {
    elements.reserve(cells.size());
    for (const uint64_t& cell : cells) elements.push_back(ValueOfCell(element, cell));
  };
  if (const auto* rows = std::get_if<KeptRows>(&state.more)) append(rows->Cells());
  if (const auto* recent = std::get_if<RecentValues>(&state.more)) append(recent->Cells());
  if (const auto* counts = std::get_if<ValueCounts>(&state.more)) {
    const auto top = counts->Top(spec.size);
    if (!top) return {Value::Null(spec.result_type), AggregateResult::Range::kOutside};
    for (const auto& [cell, times] : *top)
      elements.push_back(spec.kind == AggregateKind::kTopK
                             ? ValueOfCell(element, cell)
                             : Value::Int64(static_cast<int64_t>(times)));
  }
  return {Value::List(element, std::move(elements))};
}

AggregateResult Accumulators::SpreadAnswer(size_t feature, Spread spread, Divisor divisor) const {
  const Slot& slot = plan_->slots()[plan_->slot_of(feature)];
  const State& sum = states_[plan_->slot_of(feature)];
  const ExactSquares& squares = states_[plan_->squares_of(feature)].squares();
  if (divisor == Divisor::kSample && sum.count < 2) return {Value::Null(Type::kFloat64)};
  if (!squares.finite()) return {Value::Float64(kNan)};
  const bool integers = slot.kind == Slot::Kind::kIntegerSum;
  return InRange(
      SpreadOf(sum.count, integers ? MagnitudeOf(sum.integers, 0) : sum.doubles.magnitude(),
               squares.magnitude(integers ? 0 : ExactSquares::kUnitExponent), spread, divisor),
      true);
}

AggregateResult Accumulators::Result(size_t feature, base::Duration window) {
  const AggregateSpec& spec = plan_->specs()[feature];
  const Slot& slot = plan_->slots()[plan_->slot_of(feature)];
  State& state = states_[plan_->slot_of(feature)];
  const double seconds = static_cast<double>(window.count()) / kUsPerSecond;
  switch (spec.kind) {  // those that have an answer over no rows
    case AggregateKind::kCount: return {Value::Int64(static_cast<int64_t>(state.count))};
    case AggregateKind::kCountDistinct:
    case AggregateKind::kApproxDistinct: return Distinct(state);
    case AggregateKind::kDecayedCount: return {Value::Float64(state.doubles.Round())};
    case AggregateKind::kRate:
      HR_CHECK(window.count() > 0, "a rate is of a window");
      if (spec.argument) break;
      return {Value::Float64(static_cast<double>(state.count) / seconds)};
    default: break;
  }
  if (state.count == 0) return {Value::Null(spec.result_type)};
  switch (spec.kind) {
    case AggregateKind::kSum: return Sum(spec, slot, state);
    case AggregateKind::kMean:
      return {Value::Float64(Quotient(slot, state, static_cast<double>(state.count)))};
    case AggregateKind::kRate:
      return InRange(Quotient(slot, state, seconds), state.doubles.finite());
    case AggregateKind::kMin:
    case AggregateKind::kMax: return RangeEnd(spec, slot, state);
    case AggregateKind::kShare:
      return {Value::Float64(static_cast<double>(state.truths) / static_cast<double>(state.count))};
    case AggregateKind::kQuantile:
      return {Value::Float64(
          EdgeOf(BucketAtQuantile(state.buckets, state.bucket_counts, spec.quantile), slot.bits))};
    case AggregateKind::kLast:
    case AggregateKind::kFirst: return EndValue(spec, slot, state);
    case AggregateKind::kTimeSinceLast: {
      // No row is newer than as_of: the difference is not negative, and fits 64 bits.
      const uint64_t age = static_cast<uint64_t>(as_of_.us) - static_cast<uint64_t>(state.end_time);
      return {Value::Float64(static_cast<double>(age) / kUsPerSecond)};
    }
    case AggregateKind::kDecayedSum: return InRange(state.doubles.Round(), state.doubles.finite());
    case AggregateKind::kFirstN:
    case AggregateKind::kLastN:
    case AggregateKind::kTopK:
    case AggregateKind::kTopKCounts:
    case AggregateKind::kValues: return List(spec, state);
    case AggregateKind::kVarSamp: return SpreadAnswer(feature, Spread::kVariance, Divisor::kSample);
    case AggregateKind::kVarPop:
      return SpreadAnswer(feature, Spread::kVariance, Divisor::kPopulation);
    case AggregateKind::kStddevSamp:
      return SpreadAnswer(feature, Spread::kDeviation, Divisor::kSample);
    case AggregateKind::kStddevPop:
      return SpreadAnswer(feature, Spread::kDeviation, Divisor::kPopulation);
    case AggregateKind::kCount:
    case AggregateKind::kCountDistinct:
    case AggregateKind::kApproxDistinct:
    case AggregateKind::kDecayedCount: break;
  }
  return {Value::Null(spec.result_type)};
}

}  // namespace headrace::pipeline
