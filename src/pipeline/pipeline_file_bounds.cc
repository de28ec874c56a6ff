// Whether what is asked can be kept at all: the budget holds what is outside, the memory holds the
// rows of the windows.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "base/size_unit.h"
#include "contract/yaml_reading.h"
#include "pipeline/aggregates/aggregate_plan.h"
#include "pipeline/pipeline_file_reader.h"

namespace headrace::pipeline {

using contract::DiagnosticCode;
using contract::YamlNode;

namespace {

// Event time, position and each argument take 8 bytes a row; texts more, which is why this is a
// bound from below.
constexpr double kRowBytes = 16;
constexpr double kArgumentBytes = 8;
// A key in a view: its state row and past, its part of the index, and the head and room of its open
// chunk (docs/internals/state.md).
constexpr double kKeyBytes = 80 + 36 + 66;
// A row that waits for its partner and its key, without texts, and each of its columns; one of
// which repeats are left out, with its key.
constexpr double kWaitingBytes = 96 + 120;
constexpr double kWaitingColumnBytes = 9;
constexpr double kRememberedBytes = 24 + 112;
// A tile: its start and what is accumulated; of what has no fixed size (values, registers, buckets,
// texts) a guess.
constexpr double kTileBytes = 8;
constexpr double kTileBytesBeside = 64;

AggregatePlan PlanOf(const ViewDefinition& view) {
  std::vector<columns::Type> types;
  for (const Expression& argument : view.arguments) types.push_back(argument.type());
  return AggregatePlan(view.features, types);
}

double TileBytesOf(const AggregatePlan& plan) {
  double bytes = kTileBytes;
  for (const Slot& slot : plan.slots())
    bytes += slot.record_bytes() != 0 ? static_cast<double>(slot.record_bytes()) : kTileBytesBeside;
  return bytes;
}

double SecondsIn(base::Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

void PipelineReader::CheckBudget(const Node& root) {
  const PromiseDefinition& promise = definition_.promise;
  base::Duration outside{0};
  for (const auto& [name, time] : promise.outside) outside += time;
  if (outside < promise.budget) return;
  const YamlNode* node = root.Find("promise");
  report_.Error(DiagnosticCode::kPromiseInfeasible, node->place,
                fmt::format("promise: {} are spent outside, the budget is {}",
                            base::FormatDuration(outside), base::FormatDuration(promise.budget)),
                "raise the budget, or spend less outside");
}

// Rows newer than the history are always there. Of older ones a view keeps the rows, or of a key
// the tiles that they are in, whichever is less.
StatePrice PipelineReader::PriceOf(const ViewDefinition& view,
                                   std::optional<base::Duration> precision) const {
  const std::string& stream = definition_.streams[view.stream].name;
  StatePrice price{.of = StatePrice::Of::kView,
                   .name = view.name,
                   .is_certain = !view.where && !uncertain_rates_.contains(stream)};
  const double rate = RowsPerSecond(view.stream);
  if (rate == 0) return price;
  const auto known_keys = keys_.find(stream);
  const double keys = known_keys == keys_.end() ? 0 : known_keys->second;
  const double row_bytes = kRowBytes + kArgumentBytes * static_cast<double>(view.arguments.size());
  const auto bytes_of = [&](base::Duration time) { return rate * SecondsIn(time) * row_bytes; };
  const double newest = keys * view.last_rows() * row_bytes;  // once every key has so many
  price.exact_bytes = keys * kKeyBytes + bytes_of(view.horizon()) + newest;
  price.bytes = price.exact_bytes;
  if (view.lifetime()) {
    price.bytes = keys * (kKeyBytes + TileBytesOf(PlanOf(view))) + bytes_of(view.history);
    price.exact_bytes = price.bytes;
  } else if (precision && keys > 0) {
    const double tiles = keys * std::ceil(SecondsIn(view.horizon()) / SecondsIn(*precision));
    const double recent = bytes_of(view.history + view.ending() + *precision);
    price.bytes =
        std::min(price.exact_bytes, keys * kKeyBytes + recent + tiles * TileBytesOf(PlanOf(view)));
  }
  return price;
}

double PipelineReader::RowsPerSecond(size_t stream) const {
  const auto rate = rows_per_second_.find(definition_.streams[stream].name);
  return rate == rows_per_second_.end() ? 0 : rate->second;
}

// How long a row waits: interval_table.h, LetGo; is remembered: first_rows.h.
StatePrice PipelineReader::PriceOf(const StreamDefinition& stream) const {
  StatePrice price{.of = StatePrice::Of::kStream, .name = stream.name};
  const Derivation& derivation = *stream.derivation;
  const auto bytes_of = [&](size_t of, base::Duration time, double row_bytes) {
    return RowsPerSecond(of) * std::max(0.0, SecondsIn(time)) * row_bytes;
  };
  const auto waiting = [&](size_t of, base::Duration time) {
    const auto columns = static_cast<double>(definition_.streams[of].schema()->size());
    return bytes_of(of, time, kWaitingBytes + kWaitingColumnBytes * columns);
  };
  const base::Duration late = definition_.streams[derivation.source].timing.late;
  if (const auto& join = derivation.interval)
    price.bytes =
        waiting(derivation.source, join->to + definition_.streams[join->stream].timing.late) +
        waiting(join->stream, late - join->from);
  if (const auto& dedupe = derivation.dedupe)
    price.bytes += bytes_of(derivation.source, dedupe->within + late, kRememberedBytes);
  price.exact_bytes = price.bytes;
  return price;
}

std::string PipelineReader::WhatFits(const ViewDefinition& view, double others) const {
  std::string otherwise = "shorten windows, raise `memory`, or correct `rate`";
  const auto slides = [](const Window& window) { return window.kind == Window::Kind::kSliding; };
  if (view.lifetime()) return otherwise;
  if (!std::ranges::all_of(view.windows, slides))
    return "only sliding windows have a `precision`: " + otherwise;
  if (!PlanOf(view).is_tiled())
    return "features that need each row have no `precision`: put them into a view of their own, " +
           otherwise;
  if (!keys_.contains(definition_.streams[view.stream].name))
    return "say how many keys there are (`rate: {mean: 25/s, cards: 2M}`) to be told what "
           "`precision` fits, or " +
           otherwise;
  const double now = PriceOf(view, view.precision).bytes;
  const base::SizeUnit unit(now);
  std::optional<base::Duration> cheapest;
  double least = 0;
  using std::chrono::minutes;
  using std::chrono::seconds;
  for (const base::Duration precision : std::initializer_list<base::Duration>{
           seconds(1), seconds(10), seconds(30), minutes(1), minutes(5), minutes(15), minutes(30),
           minutes(60), minutes(180), minutes(360), minutes(720), minutes(1440)}) {
    if (precision > view.windows.front().length ||
        view.windows.back().length / precision > kTilesMax ||
        (view.precision && precision <= *view.precision))
      continue;
    const double bytes = PriceOf(view, precision).bytes;
    if (others + bytes <= static_cast<double>(definition_.memory_bytes))
      return fmt::format("`precision: {}` in view {} fits: {} instead of {}; or {}",
                         base::FormatDuration(precision), view.name, unit.Text(bytes),
                         unit.Text(now), otherwise);
    if (cheapest && bytes >= least) continue;
    cheapest = precision;
    least = bytes;
  }
  if (!cheapest)
    return fmt::format("no coarser `precision` is possible in view {}: {}", view.name, otherwise);
  if (least >= now)
    return fmt::format(
        "no `precision` helps view {}, whose tiles would take no less than its rows: {}", view.name,
        otherwise);
  return fmt::format("no `precision` in view {} fits: the cheapest, {}, takes {} instead of {}; {}",
                     view.name, base::FormatDuration(*cheapest), unit.Text(least), unit.Text(now),
                     otherwise);
}

// What is too much is refused where that is certain. It is told where a rate may be less than is
// known, or where rows wait in streams, since logs name pipelines of before this was looked at.
void PipelineReader::CheckMemory(const Node& root) {
  for (const ViewDefinition& view : definition_.views)
    prices_.push_back(PriceOf(view, view.precision));
  for (const StreamDefinition& stream : definition_.streams)
    if (stream.derived()) prices_.push_back(PriceOf(stream));
  std::erase_if(prices_, [](const StatePrice& price) { return price.bytes == 0; });

  const auto memory_bytes = static_cast<double>(definition_.memory_bytes);
  std::vector<StatePrice> counted = prices_;
  const auto total = [&] {
    double bytes = 0;
    for (const StatePrice& price : counted) bytes += price.bytes;
    return bytes;
  };
  if (total() <= memory_bytes) return;
  std::erase_if(counted, [](const StatePrice& price) { return !price.is_certain; });
  const bool is_certain = total() > memory_bytes;
  if (!is_certain) counted = prices_;

  const StatePrice& largest = *std::ranges::max_element(counted, {}, &StatePrice::bytes);
  const bool of_view = largest.of == StatePrice::Of::kView;
  const bool all_views = std::ranges::all_of(
      counted, [](const StatePrice& price) { return price.of == StatePrice::Of::kView; });
  const base::SizeUnit unit(total());
  const std::string what = fmt::format(
      "{} {} {}, memory is {}: {} alone takes {}", all_views ? "the views" : "views and streams",
      is_certain ? "need at least" : "may need", unit.Text(total()), unit.Text(memory_bytes),
      of_view ? "view " + largest.name : "stream " + largest.name + ", of rows that wait,",
      unit.Text(largest.bytes));
  const std::string hint =
      of_view ? WhatFits(*std::ranges::find(definition_.views, largest.name, &ViewDefinition::name),
                         total() - largest.bytes)
              : "shorten `within` or `late`, raise `memory`, or correct `rate`";
  const YamlNode* node = root.Find("memory");
  for (const std::string_view part : {"views", "streams"})
    if (node == nullptr) node = root.Find(part);
  if (is_certain) {
    report_.Error(DiagnosticCode::kMemoryExceeded, node->place, what, hint);
  } else {
    report_.Warning(DiagnosticCode::kMemoryExceeded, node->place, what,
                    hint + "; past its memory the engine refuses events");
  }
}

}  // namespace headrace::pipeline
