// The online state's costs with the three views of examples/flights, on generated flights: 229
// airports with skewed traffic, about 16,700 flights a day, landing times in order. No disk, no
// network, one thread.
//   Apply/N        rows/s into all views, N rows an epoch
//   ApplyHot/P     the same, 8,192 rows an epoch, P % of them of one route
//   Skew/P         ns a row to notice hot keys among a million, P % of the rows of one
//   Get/view/...   ns a lookup of a random flight's key, as of the clock
//   Answer         ns a question to the batch driver, cut by epoch, own row left out
//   ExactSum       ns an addition, beside a plain double

#include <cmath>
#include <memory>
#include <random>

#include <benchmark/benchmark.h>

#include "columns/batch_builder.h"
#include "columns/key.h"
#include "pipeline/aggregates/exact_sum.h"
#include "pipeline/views/batch_driver.h"
#include "pipeline/views/view_set.h"

namespace headrace::pipeline {
namespace {

constexpr base::StreamId kStream{1};
constexpr uint64_t kSeed = 2001;
constexpr int64_t kMicrosPerFlight = 86'400'000'000 / 16'700;

constexpr std::string_view kContract = R"(apiVersion: v3.1.0
kind: DataContract
id: flights
version: 1.0.0
status: active
schema:
  - name: flights
    logicalType: object
    properties:
      - {name: flight_id, logicalType: integer, physicalType: int64, required: true}
      - {name: landed_at, logicalType: timestamp, physicalType: timestamp, required: true}
      - {name: delay, logicalType: integer, physicalType: int64, required: true}
      - {name: distance, logicalType: integer, physicalType: int64, required: true}
      - {name: origin, logicalType: string, physicalType: string, required: true}
      - {name: destination, logicalType: string, physicalType: string, required: true}
)";
enum Field : size_t { kFlightId, kLandedAt, kDelay, kDistance, kOrigin, kDestination };

size_t Argument(ViewDefinition& view, const columns::SchemaRef& schema, std::string_view text) {
  for (size_t i = 0; i < view.arguments.size(); ++i)
    if (view.arguments[i].text() == text) return i;
  auto compiled = Expression::Compile(text, schema);
  HR_CHECK(compiled.has_value(), "the benchmark's expression is broken");
  view.arguments.push_back(std::move(*compiled));
  return view.arguments.size() - 1;
}

void Feature(ViewDefinition& view, const columns::SchemaRef& schema, AggregateKind kind,
             std::string_view argument) {
  AggregateSpec spec{.name = "feature", .kind = kind, .quantile = 0.9};
  if (!argument.empty()) {
    spec.argument = Argument(view, schema, argument);
    spec.argument_type = view.arguments[*spec.argument].type();
  }
  spec.result_type =
      *ResultType(kind, spec.argument ? std::optional(spec.argument_type) : std::nullopt);
  view.features.push_back(spec);
  for (size_t w = 0; w < std::max<size_t>(1, view.windows.size()); ++w)
    view.outputs.push_back({"output", view.features.size() - 1, w, spec.result_type});
}

PipelineRef Flights() {
  using std::chrono::hours;
  auto pipeline = std::make_shared<PipelineDefinition>();
  const auto parsed = contract::Contract::Parse("flights.yaml", kContract, "");
  HR_CHECK(parsed.contract != nullptr, "the benchmark's contract is broken");
  pipeline->streams.push_back(
      {.name = "flights", .contract = parsed.contract, .timing = {.event_time_field = kLandedAt}});
  const columns::SchemaRef schema = pipeline->streams[0].schema();
  ViewDefinition origin{.name = "origin",
                        .entity = "origin",
                        .by = {kOrigin},
                        .windows = {hours(1), hours(6), hours(24)}};
  Feature(origin, schema, AggregateKind::kCount, "");
  Feature(origin, schema, AggregateKind::kMean, "delay");
  Feature(origin, schema, AggregateKind::kMax, "delay");
  Feature(origin, schema, AggregateKind::kShare, "delay > 15");
  Feature(origin, schema, AggregateKind::kQuantile, "delay");
  Feature(origin, schema, AggregateKind::kSum, "distance / 480.0");
  ViewDefinition route{.name = "route",
                       .entity = "origin,destination",
                       .by = {kOrigin, kDestination},
                       .windows = {hours(24), hours(168)}};
  Feature(route, schema, AggregateKind::kCount, "");
  Feature(route, schema, AggregateKind::kMean, "delay");
  ViewDefinition last{.name = "origin_last", .entity = "origin", .by = {kOrigin}};
  Feature(last, schema, AggregateKind::kLast, "delay");
  Feature(last, schema, AggregateKind::kLast, "destination");
  pipeline->views.push_back(std::move(origin));
  pipeline->views.push_back(std::move(route));
  pipeline->views.push_back(std::move(last));
  return pipeline;
}

// Airport 0 .. 228 with about 1 / (rank + 4) of the traffic.
int RandomRank(std::mt19937_64& random) {
  const double u = static_cast<double>(random() >> 11) * 0x1p-53;
  return static_cast<int>(4 * (std::pow(58.0, u) - 1));
}

std::string Airport(int rank) {
  return {static_cast<char>('A' + rank / 26), static_cast<char>('A' + rank % 26), 'X'};
}

struct Route {
  std::string origin;
  std::string destination;
};

// Each airport flies to 20 others: about 4,600 routes.
Route RandomRoute(std::mt19937_64& random) {
  const int origin = RandomRank(random);
  return {Airport(origin), Airport((origin + 7 * (RandomRank(random) % 20) + 1) % 229)};
}

columns::ColumnBatch Batch(const columns::SchemaRef& schema, std::mt19937_64& random, int64_t first,
                           size_t rows, uint64_t hot_percent) {
  columns::BatchBuilder builder(schema);
  for (size_t i = 0; i < rows; ++i) {
    const int64_t flight = first + static_cast<int64_t>(i);
    builder.column(kFlightId).AppendInt(flight);
    builder.column(kLandedAt).AppendInt(flight * kMicrosPerFlight);
    builder.column(kDelay).AppendInt(static_cast<int64_t>(random() % 90) - 20);
    builder.column(kDistance).AppendInt(static_cast<int64_t>(100 + random() % 2400));
    const Route route =
        random() % 100 < hot_percent ? Route{Airport(0), Airport(1)} : RandomRoute(random);
    builder.column(kOrigin).AppendText(route.origin);
    builder.column(kDestination).AppendText(route.destination);
  }
  return builder.Finish();
}

class ZeroClock final : public env::Clock {
 public:
  env::MonotonicTime Now() const override { return {}; }
  base::Timestamp Wall() const override { return {0}; }
};

std::vector<log::EpochRef> Epochs(const columns::SchemaRef& schema, size_t total, size_t per_epoch,
                                  uint64_t hot_percent = 0) {
  std::mt19937_64 random(kSeed);
  std::vector<log::EpochRef> epochs;
  for (size_t first = 0; first < total; first += per_epoch) {
    auto epoch = std::make_shared<log::Epoch>();
    epoch->id = {epochs.size() + 1};
    epoch->clock = {static_cast<int64_t>(first + per_epoch - 1) * kMicrosPerFlight};
    epoch->streams.push_back(
        {kStream, Batch(schema, random, static_cast<int64_t>(first), per_epoch, hot_percent)});
    epochs.push_back(std::move(epoch));
  }
  return epochs;
}

void ApplyAll(benchmark::State& state, size_t per_epoch, uint64_t hot_percent) {
  const PipelineRef pipeline = Flights();
  const auto epochs = Epochs(pipeline->streams[0].schema(), 300'000 / per_epoch * per_epoch,
                             per_epoch, hot_percent);
  ZeroClock clock;
  base::MemoryBudget budget(4ULL << 30);
  uint64_t rows = 0;
  for (auto _ : state) {
    ViewSet views(pipeline, budget, clock);
    views.BindStream(0, kStream);
    for (const log::EpochRef& epoch : epochs) {
      views.Apply({&epoch, 1});
      rows += epoch->streams[0].rows.rows();
    }
    state.counters["state_MB"] = static_cast<double>(budget.used_bytes()) * 1e-6;
  }
  state.SetItemsProcessed(static_cast<int64_t>(rows));
}

void Apply(benchmark::State& state) { ApplyAll(state, static_cast<size_t>(state.range(0)), 0); }
BENCHMARK(Apply)->Arg(1)->Arg(64)->Arg(1024)->Arg(8192)->Arg(65536)->Unit(benchmark::kMillisecond);

void ApplyHot(benchmark::State& state) {
  ApplyAll(state, 8192, static_cast<uint64_t>(state.range(0)));
}
BENCHMARK(ApplyHot)->Arg(0)->Arg(5)->Arg(38)->Arg(90)->Unit(benchmark::kMillisecond);

// A second of a million rows in epochs of a thousand, again and again.
void Skew(benchmark::State& state) {
  constexpr size_t kRows = 1000;
  std::mt19937_64 random(kSeed);
  const columns::ColumnBatch batch = Batch(Flights()->streams[0].schema(), random, 0, kRows, 0);
  std::vector<uint32_t> rows(kRows);
  std::vector<uint32_t> numbers(kRows * 1000);
  for (size_t i = 0; i < kRows; ++i) rows[i] = static_cast<uint32_t>(i);
  for (uint32_t& number : numbers)
    number = random() % 100 < static_cast<uint64_t>(state.range(0)) ? 0 : random() % 1'000'000;
  HotKeys hot({kOrigin, kDestination});
  env::MonotonicTime now{0};
  size_t begin = 0;
  for (auto _ : state) {
    hot.Note(batch, rows, std::span(numbers).subspan(begin, kRows), now);
    now += std::chrono::milliseconds(1);
    begin = (begin + kRows) % numbers.size();
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kRows));
}
BENCHMARK(Skew)->Arg(0)->Arg(38);

std::string KeyOf(const ViewDefinition& view, std::mt19937_64& random) {
  const Route route = RandomRoute(random);
  columns::KeyBytes key;
  columns::AppendKeyValue(key, columns::Value::String(route.origin));
  if (view.by.size() == 2) columns::AppendKeyValue(key, columns::Value::String(route.destination));
  return key;
}

void Get(benchmark::State& state) {
  const PipelineRef pipeline = Flights();
  ZeroClock clock;
  base::MemoryBudget budget(4ULL << 30);
  ViewSet views(pipeline, budget, clock);
  views.BindStream(0, kStream);
  for (const auto& epoch : Epochs(pipeline->streams[0].schema(), 200'000, 1000))
    views.Apply({&epoch, 1});
  const auto view = static_cast<size_t>(state.range(0));
  std::mt19937_64 random(kSeed);
  std::vector<std::string> keys(1024);
  for (std::string& key : keys) key = KeyOf(pipeline->views[view], random);
  size_t i = 0;
  for (auto _ : state) {
    const auto pin = views.PinNewest();
    benchmark::DoNotOptimize(views.Get(*pin, view, keys[i++ % keys.size()], pin->clock()));
  }
  state.SetLabel(pipeline->views[view].name);
}
BENCHMARK(Get)->DenseRange(0, 2);

void Answer(benchmark::State& state) {
  const PipelineRef pipeline = Flights();
  const auto view = static_cast<size_t>(state.range(0));
  BatchDriver driver(pipeline->views[view], pipeline->streams[0], kFlightId);
  constexpr size_t kRows = 500'000;
  for (const auto& epoch : Epochs(pipeline->streams[0].schema(), kRows, 10'000)) {
    std::vector<columns::Position> positions;
    for (size_t row = 0; row < 10'000; ++row)
      positions.push_back(columns::Position::Of(epoch->id, row));
    const auto times = epoch->streams[0].rows.column(kLandedAt).Int64s();
    driver.Add(epoch->streams[0].rows, positions, times);
  }
  driver.Prepare();
  std::mt19937_64 random(kSeed);
  for (auto _ : state) {
    const auto flight = static_cast<int64_t>(random() % kRows);
    const base::Timestamp at{flight * kMicrosPerFlight};
    benchmark::DoNotOptimize(driver.Answer(
        {.key = KeyOf(pipeline->views[view], random),
         .as_of = at,
         .cut = {.epoch_max = {}, .known_at_max = at, .without = columns::Value::Int64(flight)}}));
  }
  state.SetLabel(pipeline->views[view].name);
}
BENCHMARK(Answer)->DenseRange(0, 2);

template <typename Sum>
void Sums(benchmark::State& state) {
  std::mt19937_64 random(kSeed);
  std::vector<double> values(4096);
  for (double& v : values) v = static_cast<double>(100 + random() % 2400) / 480.0;
  for (auto _ : state) {
    Sum sum{};
    for (const double v : values) {
      if constexpr (std::is_same_v<Sum, double>) {
        sum += v;
      } else {
        sum.Add(v);
      }
    }
    benchmark::DoNotOptimize(sum);
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * values.size()));
}
BENCHMARK(Sums<double>);
BENCHMARK(Sums<ExactSum>);

}  // namespace
}  // namespace headrace::pipeline

BENCHMARK_MAIN();
