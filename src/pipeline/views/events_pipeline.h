#pragma once
// For tests: a stream `events` of random rows, and a pipeline with every aggregate over it.

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "columns/batch_builder.h"
#include "columns/position.h"
#include "log/epoch.h"
#include "pipeline/definition.h"

namespace headrace::pipeline::fixture {

using columns::Type;
using columns::Value;

constexpr base::StreamId kStream{7};
constexpr int64_t kSecond = 1'000'000;

struct Event {
  std::string key;
  std::optional<int64_t> region;
  int64_t at = 0;
  std::optional<int64_t> x;
  std::optional<double> f;
  std::optional<bool> b;
  std::optional<std::string> s;
  std::optional<int32_t> i;
  uint64_t position = 0;
};

inline constexpr std::string_view kContract = R"(apiVersion: v3.1.0
kind: DataContract
id: events
version: 1.0.0
status: active
schema:
  - name: events
    logicalType: object
    properties:
      - {name: key, logicalType: string, physicalType: string, required: true}
      - {name: region, logicalType: integer, physicalType: int64}
      - {name: at, logicalType: timestamp, physicalType: timestamp, required: true}
      - {name: x, logicalType: integer, physicalType: int64}
      - {name: f, logicalType: number, physicalType: float64}
      - {name: b, logicalType: boolean, physicalType: bool}
      - {name: s, logicalType: string, physicalType: string}
      - {name: i, logicalType: integer, physicalType: int32}
)";
enum Field : size_t { kKey, kRegion, kAt, kX, kF, kB, kS, kI };

// Adds an argument once; its index.
inline size_t ArgumentOf(ViewDefinition& view, const columns::SchemaRef& schema,
                         const std::string& text) {
  for (size_t i = 0; i < view.arguments.size(); ++i)
    if (view.arguments[i].text() == text) return i;
  auto compiled = Expression::Compile(text, schema);
  HR_CHECK(compiled.has_value(), compiled.error().message);
  view.arguments.push_back(std::move(*compiled));
  return view.arguments.size() - 1;
}

struct Feature {
  std::string name;
  AggregateKind kind;
  std::string argument;  // empty: none
  std::string where;     // empty: none
  double quantile = 0.5;
  int register_bits = 12;
  uint32_t size = 0;
  base::Duration half_life{0};
};

inline void AddFeature(ViewDefinition& view, const columns::SchemaRef& schema,
                       const Feature& feature) {
  AggregateSpec spec{.name = feature.name,
                     .kind = feature.kind,
                     .quantile = feature.quantile,
                     .register_bits = feature.register_bits,
                     .size = feature.size,
                     .half_life = feature.half_life};
  if (!feature.argument.empty()) {
    spec.argument = ArgumentOf(view, schema, feature.argument);
    spec.argument_type = view.arguments[*spec.argument].type();
  }
  if (!feature.where.empty()) spec.where = ArgumentOf(view, schema, feature.where);
  const auto result =
      ResultType(spec.kind, spec.argument ? std::optional(spec.argument_type) : std::nullopt);
  HR_CHECK(result.has_value(), "no such aggregate");
  spec.result_type = *result;
  view.features.push_back(spec);
  for (size_t w = 0; w < std::max<size_t>(1, view.windows.size()); ++w)
    view.outputs.push_back({feature.name + "_" + std::to_string(w), view.features.size() - 1, w,
                            spec.result_type, spec.size});
}

// Half-lives: of one, windows hold more than 1,022.
constexpr base::Duration kFast = std::chrono::milliseconds(200);
constexpr base::Duration kSlow = std::chrono::seconds(7);

inline std::vector<Feature> EveryAggregate() {
  using enum AggregateKind;
  return {
      {"rows", kCount, "", ""},
      {"xs", kCount, "x", ""},
      {"trues", kCount, "", "b"},
      {"sum_x", kSum, "x", ""},
      {"sum_x_b", kSum, "x", "b"},
      {"mean_x", kMean, "x", ""},
      {"min_x", kMin, "x", ""},
      {"max_x", kMax, "x", ""},
      {"sum_f", kSum, "f", ""},
      {"mean_f", kMean, "f", ""},
      {"min_f", kMin, "f", ""},
      {"max_f", kMax, "f", "b"},
      {"sum_i", kSum, "i", ""},
      {"share_b", kShare, "b", ""},
      {"share_x", kShare, "x > 10", ""},
      {"p90_x", kQuantile, "x", "", 0.9},
      {"p50_f", kQuantile, "f", "", 0.5},
      {"p10_i", kQuantile, "i", "b", 0.1},
      {"min_s", kMin, "s", ""},
      {"max_s", kMax, "s", ""},
      {"max_b", kMax, "b", ""},
      {"last_x", kLast, "x", ""},
      {"last_s", kLast, "s", ""},
      {"last_b", kLast, "b", "x > 10"},
      {"thirds", kSum, "x / 480.0", ""},
      {"first_x", kFirst, "x", ""},
      {"first_s", kFirst, "s", "b"},
      {"var_x", kVarSamp, "x", ""},
      {"var_f", kVarPop, "f", ""},
      {"dev_x", kStddevPop, "x", "b"},
      {"dev_f", kStddevSamp, "f", ""},
      {"dev_t", kStddevSamp, "x / 480.0", ""},
      {"kinds_x", kCountDistinct, "x", ""},
      {"kinds_s", kCountDistinct, "s", "b"},
      {"kinds_f", kApproxDistinct, "f", ""},
      {"kinds_b", kApproxDistinct, "b", ""},
      {"rate", kRate, "", ""},
      {"rate_x", kRate, "x", "b"},
      {"rate_f", kRate, "f", ""},
      {"since", kTimeSinceLast, "", ""},
      {"since_b", kTimeSinceLast, "", "b"},
      {.name = "last3_x", .kind = kLastN, .argument = "x", .where = {}, .size = 3},
      {.name = "last9_s", .kind = kLastN, .argument = "s", .where = "b", .size = 9},
      {.name = "first2_f", .kind = kFirstN, .argument = "f", .where = {}, .size = 2},
      {.name = "first4_b", .kind = kFirstN, .argument = "b", .where = {}, .size = 4},
      {.name = "top_i", .kind = kTopK, .argument = "i", .where = {}, .size = 3},
      {.name = "top_s", .kind = kTopK, .argument = "s", .where = {}, .size = 2},
      {.name = "tops_i", .kind = kTopKCounts, .argument = "i", .where = {}, .size = 3},
      {.name = "top_f", .kind = kTopK, .argument = "f", .where = "b", .size = 2},
      {.name = "set_s", .kind = kValues, .argument = "s", .where = {}, .size = 4},
      {.name = "set_i", .kind = kValues, .argument = "i", .where = {}, .size = 50},
      {.name = "set_b", .kind = kValues, .argument = "b", .where = {}, .size = 5},
      {.name = "decay_x", .kind = kDecayedSum, .argument = "x", .where = {}, .half_life = kFast},
      {.name = "decay_f", .kind = kDecayedSum, .argument = "f", .where = "b", .half_life = kSlow},
      {.name = "decays", .kind = kDecayedCount, .argument = {}, .where = {}, .half_life = kSlow},
      {.name = "decays_s",
       .kind = kDecayedCount,
       .argument = "s",
       .where = {},
       .half_life = kFast}};
}

inline ViewDefinition MakeView(const columns::SchemaRef& schema, std::string name,
                               std::vector<size_t> by, const std::vector<int64_t>& window_seconds,
                               const std::vector<Feature>& features) {
  ViewDefinition view;
  view.name = std::move(name);
  for (const size_t field : by)
    view.entity += (view.entity.empty() ? "" : ",") + schema->field(field).name;
  view.by = std::move(by);
  for (const int64_t seconds : window_seconds)
    view.windows.push_back(std::chrono::seconds(seconds));
  view.history = std::chrono::seconds(20);
  for (const Feature& feature : features) AddFeature(view, schema, feature);
  return view;
}

// An aggregate for each way in which something is accumulated.
inline std::vector<Feature> EveryAlgebra() {
  using enum AggregateKind;
  return {
      {"rows", kCount, "", ""},
      {"sum_x_b", kSum, "x", "b"},
      {"sum_f", kSum, "f", ""},
      {"share_b", kShare, "b", ""},
      {"min_f", kMin, "f", ""},
      {"max_s", kMax, "s", ""},
      {"last_x", kLast, "x", ""},
      {"first_s", kFirst, "s", "b"},
      {"var_x", kVarSamp, "x", ""},
      {"p50_f", kQuantile, "f", "", 0.5},
      {"kinds_x", kCountDistinct, "x", ""},
      {"since", kTimeSinceLast, "", ""},
      {.name = "last3_x", .kind = kLastN, .argument = "x", .where = {}, .size = 3},
      {.name = "set_s", .kind = kValues, .argument = "s", .where = {}, .size = 4},
      {.name = "decays", .kind = kDecayedCount, .argument = {}, .where = {}, .half_life = kSlow}};
}

// Sums alone, which need no rows.
inline std::vector<Feature> Sums() {
  using enum AggregateKind;
  return {{"rows", kCount, "", ""}, {"sum_f", kSum, "f", ""}, {"mean_x", kMean, "x", "b"}};
}

inline Window WindowOf(Window::Kind kind, int64_t length_seconds, int64_t step_seconds = 0) {
  Window window(std::chrono::seconds{length_seconds});
  window.kind = kind;
  window.step = std::chrono::seconds(step_seconds);
  return window;
}

inline Window LastRows(uint32_t rows) {
  Window window;
  window.kind = Window::Kind::kLastRows;
  window.rows = rows;
  return window;
}

inline std::vector<Window> Ending(int64_t seconds, std::vector<Window> windows) {
  for (Window& window : windows) window.ending = std::chrono::seconds(seconds);
  return windows;
}

inline ViewDefinition MakeView(const columns::SchemaRef& schema, std::string name,
                               std::vector<Window> windows, const std::vector<Feature>& features) {
  ViewDefinition view = MakeView(schema, std::move(name), {kKey}, std::vector<int64_t>(), {});
  view.windows = std::move(windows);
  for (const Feature& feature : features) AddFeature(view, schema, feature);
  return view;
}

// Windows that begin at multiples of a precision.
inline ViewDefinition Coarse(ViewDefinition view, int64_t precision_ms) {
  view.precision = std::chrono::milliseconds(precision_ms);
  for (Window& window : view.windows) window.precision = *view.precision;
  return view;
}

// Those that rows need not be kept for; over a whole life some more have no meaning, or no bound.
inline std::vector<Feature> EveryTiled(bool lifetime) {
  std::vector<Feature> features;
  for (const Feature& feature : EveryAggregate()) {
    switch (feature.kind) {
      case AggregateKind::kFirstN:
      case AggregateKind::kLastN:
      case AggregateKind::kTopK:
      case AggregateKind::kTopKCounts:
      case AggregateKind::kValues:
      case AggregateKind::kDecayedSum:
      case AggregateKind::kDecayedCount: continue;
      case AggregateKind::kCountDistinct:
      case AggregateKind::kRate:
        if (lifetime) continue;
        break;
      default: break;
    }
    features.push_back(feature);
  }
  return features;
}

// The features of the fixture's view `index`, to be given to NaiveAnswer.
inline std::vector<Feature> FeaturesOf(size_t index) {
  if (index == 0) return EveryAggregate();
  if (index == 1) return {{"rows", AggregateKind::kCount, "", ""}};
  if (index == 2)
    return {{"last_x", AggregateKind::kLast, "x", ""},
            {"last_s", AggregateKind::kLast, "s", ""},
            {"last_rare", AggregateKind::kLast, "f", "x > 480"},
            {"since", AggregateKind::kTimeSinceLast, "", ""},
            {"since_rare", AggregateKind::kTimeSinceLast, "", "x > 480"}};
  if (index == 3)
    return {{"rows", AggregateKind::kCount, "", ""}, {"sum_f", AggregateKind::kSum, "f", ""}};
  if (index == 9 || index == 10) return EveryTiled(index == 10);
  return index == 6 || index == 11 ? Sums() : EveryAlgebra();
}

// Views: 0 `keyed` every aggregate over 3 windows; 1 `positive` where x > 0, with a ttl; 2
// `forever` last() with and without conditions; 3 `pair` by key and region; the others have windows
// of other kinds, or a precision: `coarse`, and `coarser` with sums alone; `total` is of a whole
// life.
inline std::shared_ptr<PipelineDefinition> EventsPipeline() {
  auto pipeline = std::make_shared<PipelineDefinition>();
  const auto parsed = contract::Contract::Parse("events.yaml", kContract, "");
  HR_CHECK(parsed.contract != nullptr, "the fixture's contract is broken");
  StreamDefinition stream{
      .name = "events", .contract = parsed.contract, .timing = {.event_time_field = kAt}};
  const columns::SchemaRef schema = stream.schema();
  pipeline->streams.push_back(stream);
  pipeline->views.push_back(MakeView(schema, "keyed", {kKey}, {10, 60, 300}, EveryAggregate()));
  ViewDefinition positive =
      MakeView(schema, "positive", {kKey}, {30}, {{"rows", AggregateKind::kCount, "", ""}});
  auto where = Expression::Compile("x > 0", schema);
  HR_CHECK(where.has_value(), "the fixture's condition is broken");
  positive.where = std::move(*where);
  positive.ttl = std::chrono::seconds(45);
  pipeline->views.push_back(std::move(positive));
  pipeline->views.push_back(
      MakeView(schema, "forever", {kKey}, {},
               {{"last_x", AggregateKind::kLast, "x", ""},
                {"last_s", AggregateKind::kLast, "s", ""},
                {"last_rare", AggregateKind::kLast, "f", "x > 480"},
                {"since", AggregateKind::kTimeSinceLast, "", ""},
                {"since_rare", AggregateKind::kTimeSinceLast, "", "x > 480"}}));
  pipeline->views.push_back(
      MakeView(schema, "pair", {kKey, kRegion}, {60, 600},
               {{"rows", AggregateKind::kCount, "", ""}, {"sum_f", AggregateKind::kSum, "f", ""}}));
  using enum Window::Kind;
  pipeline->views.push_back(
      MakeView(schema, "ended", Ending(25, {std::chrono::seconds(10), std::chrono::seconds(90)}),
               FeaturesOf(4)));
  pipeline->views.push_back(
      MakeView(schema, "newest", {LastRows(1), LastRows(9), LastRows(200)}, FeaturesOf(5)));
  pipeline->views.push_back(MakeView(
      schema, "mixed", Ending(7, {std::chrono::seconds(40), LastRows(30)}), FeaturesOf(6)));
  pipeline->views.push_back(MakeView(schema, "spans",
                                     {WindowOf(kTumbling, 60), WindowOf(kPreviousTumbling, 60),
                                      WindowOf(kHopping, 45, 7), std::chrono::seconds(60)},
                                     FeaturesOf(7)));
  pipeline->views.push_back(MakeView(schema, "sessions",
                                     {WindowOf(kSession, 200, 2), WindowOf(kLastSession, 100, 3)},
                                     FeaturesOf(8)));
  pipeline->views.push_back(
      Coarse(MakeView(schema, "coarse", {kKey}, {10, 60, 300}, FeaturesOf(9)), 7'000));
  pipeline->views.push_back(MakeView(schema, "total", {kKey}, {}, FeaturesOf(10)));
  pipeline->views.push_back(Coarse(
      MakeView(schema, "coarser", Ending(3, {std::chrono::seconds(45), std::chrono::seconds(400)}),
               FeaturesOf(11)),
      45'000));
  return pipeline;
}

inline columns::ColumnBatch ToBatch(const columns::SchemaRef& schema,
                                    const std::vector<Event>& events) {
  columns::BatchBuilder builder(schema);
  const auto append = [&](size_t field, const auto& value, auto with) {
    if (value) {
      with(builder.column(field), *value);
    } else {
      builder.column(field).AppendNull();
    }
  };
  using columns::ColumnBuilder;
  const auto integer = [](ColumnBuilder& column, int64_t v) { column.AppendInt(v); };
  for (const Event& event : events) {
    builder.column(kKey).AppendText(event.key);
    append(kRegion, event.region, integer);
    builder.column(kAt).AppendInt(event.at);
    append(kX, event.x, integer);
    append(kF, event.f, [](ColumnBuilder& column, double v) { column.AppendDouble(v); });
    append(kB, event.b, [](ColumnBuilder& column, bool v) { column.AppendBool(v); });
    append(kS, event.s, [](ColumnBuilder& column, const std::string& v) { column.AppendText(v); });
    append(kI, event.i, integer);
  }
  return builder.Finish();
}

// An epoch of these rows; their positions are filled in.
inline log::EpochRef ToEpoch(const columns::SchemaRef& schema, uint64_t id, int64_t clock,
                             std::vector<Event>& events) {
  auto epoch = std::make_shared<log::Epoch>();
  epoch->id = {id};
  epoch->clock = {clock};
  for (size_t row = 0; row < events.size(); ++row)
    events[row].position = columns::Position::Of({id}, row).packed;
  if (!events.empty()) epoch->streams.push_back({kStream, ToBatch(schema, events)});
  return epoch;
}

inline Event RandomEvent(std::mt19937_64& random, size_t keys) {
  const auto null = [&] { return random() % 8 == 0; };
  Event event;
  event.key = "key-" + std::to_string(random() % keys);
  if (!null()) event.region = static_cast<int64_t>(random() % 3);
  if (!null()) event.x = static_cast<int64_t>(random() % 1000) - 500;
  if (random() % 500 == 0) event.x = static_cast<int64_t>(random());
  if (!null()) event.f = static_cast<double>(static_cast<int64_t>(random() % 100'000)) / 480.0;
  switch (random() % 400) {
    case 0: event.f = 1e300; break;
    case 1: event.f = -1e-300; break;
    case 2: event.f = random() % 2 == 0 ? -0.0 : 0x1p-1074; break;
    case 3:
      event.f = random() % 2 == 0 ? std::numeric_limits<double>::infinity() : std::nan("");
      break;
    default: break;
  }
  if (!null()) event.b = random() % 3 == 0;
  if (!null()) event.s = std::string(random() % 12, static_cast<char>('a' + random() % 26));
  if (!null()) event.i = static_cast<int32_t>(random() % 100);
  return event;
}

}  // namespace headrace::pipeline::fixture
