// Choices of the online state beside their alternatives, one thread, CPU time (docs/adr/0004, 0005,
// 0007).
//   Window/...   a key's 24 h of rows: chunks with partials scanned at the read, or running
//   aggregates per window kept at each
//                row; both for windows of 1, 6 and 24 h with count, mean, max, share, p90 and a
//                floating sum
//   Sum/...      adding 4,096 quotients: plain, compensated, exact, exact in the full range alone
//   Pin          taking and ending a reader's pin; SharedMutex: the lock that it stands for
//   Find/...     a key's number among N keys

#include <array>
#include <deque>
#include <random>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include <benchmark/benchmark.h>
#include <boost/unordered/unordered_flat_map.hpp>

#include "base/hash.h"
#include "pipeline/aggregates/accumulator.h"
#include "pipeline/state/entity_index.h"
#include "pipeline/state/pins.h"
#include "pipeline/state/row_store.h"

namespace headrace::pipeline {
namespace {

constexpr uint64_t kSeed = 1;
constexpr int64_t kMinute = 60'000'000;
constexpr std::array<int64_t, 3> kWindows = {60 * kMinute, 360 * kMinute, 1440 * kMinute};

struct Row {
  int64_t time;
  int64_t delay;
  double hours;
};

std::vector<Row> Rows(size_t count) {
  std::mt19937_64 random(kSeed);
  std::vector<Row> rows;
  for (size_t i = 0; i < count; ++i)
    rows.push_back({static_cast<int64_t>(i) * kMinute, static_cast<int64_t>(random() % 90) - 20,
                    static_cast<double>(100 + random() % 2400) / 480.0});
  return rows;
}

// ---- Running aggregates: each row is added to every window at once, and removed from each when it
// leaves. ----

struct RunningWindow {
  size_t first = 0;  // of the key's rows
  uint64_t count = 0;
  uint64_t late = 0;
  Int128 delays = 0;
  ExactSum hours;
  std::array<uint32_t, 512> buckets{};  // of delays from -20 to 69, all exact at 1 %
  std::deque<size_t> greatest;          // candidates for the maximum

  void Change(const Row& row, bool add) {
    count += add ? 1 : ~uint64_t{0};
    late += (row.delay > 15 ? 1 : 0) * (add ? 1 : ~uint64_t{0});
    delays += add ? row.delay : -row.delay;
    buckets[static_cast<size_t>(row.delay + 256)] += add ? 1 : ~0U;
    add ? hours.Add(row.hours) : hours.Remove(row.hours);
  }
  void Push(const std::vector<Row>& rows, size_t at, int64_t length) {
    while (!greatest.empty() && rows[greatest.back()].delay <= rows[at].delay) greatest.pop_back();
    greatest.push_back(at);
    Change(rows[at], true);
    for (; rows[first].time <= rows[at].time - length; ++first) Change(rows[first], false);
    while (greatest.front() < first) greatest.pop_front();
  }
};

void RunningAppend(benchmark::State& state) {
  const std::vector<Row> rows = Rows(20'000);
  for (auto _ : state) {
    std::array<RunningWindow, 3> windows;
    for (size_t i = 0; i < rows.size(); ++i)
      for (size_t w = 0; w < kWindows.size(); ++w) windows[w].Push(rows, i, kWindows[w]);
    benchmark::DoNotOptimize(windows);
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * rows.size()));
  state.counters["bytes_a_key"] = sizeof(RunningWindow) * 3;
}
BENCHMARK(RunningAppend)->Name("Window/running/row");

// ---- Tiles of rows: the row store, and a scan at the read. ----

std::vector<AggregateSpec> Specs() {
  using enum AggregateKind;
  using columns::Type;
  const auto spec = [](AggregateKind kind, std::optional<size_t> argument, Type type, Type result) {
    return AggregateSpec{.name = "",
                         .kind = kind,
                         .argument = argument,
                         .argument_type = type,
                         .where = {},
                         .quantile = 0.9,
                         .result_type = result};
  };
  return {spec(kCount, {}, Type::kInt64, Type::kInt64),
          spec(kMean, 0, Type::kInt64, Type::kFloat64),
          spec(kMax, 0, Type::kInt64, Type::kInt64),
          spec(kShare, 1, Type::kBool, Type::kFloat64),
          spec(kQuantile, 0, Type::kInt64, Type::kFloat64),
          spec(kSum, 2, Type::kFloat64, Type::kFloat64)};
}

struct TileInput {
  explicit TileInput(const std::vector<Row>& rows) {
    std::vector<int64_t> delays;
    std::vector<double> hours;
    std::vector<uint8_t> late((rows.size() + 7) / 8, 0);
    for (size_t i = 0; i < rows.size(); ++i) {
      times.push_back(rows[i].time);
      delays.push_back(rows[i].delay);
      hours.push_back(rows[i].hours);
      numbers.push_back(static_cast<uint32_t>(i));
      if (rows[i].delay > 15) late[i / 8] |= static_cast<uint8_t>(1U << (i % 8));
    }
    const size_t n = rows.size();
    arguments.emplace_back(columns::Type::kInt64, n, columns::Buffer::OwnValues(std::move(delays)));
    arguments.emplace_back(columns::Type::kBool, n, columns::Buffer::Own(std::move(late)));
    arguments.emplace_back(columns::Type::kFloat64, n,
                           columns::Buffer::OwnValues(std::move(hours)));
  }
  BatchRows batch() const { return {.times = times, .epoch = {1}, .arguments = arguments}; }

  std::vector<int64_t> times;
  std::vector<uint32_t> numbers;
  std::vector<columns::Column> arguments;
};

struct Tiles {
  Tiles()
      : plan(Specs(),
             std::array{columns::Type::kInt64, columns::Type::kBool, columns::Type::kFloat64}) {}
  base::MemoryBudget budget{1ULL << 30};
  StateMemory memory{budget};
  AggregatePlan plan;
};

void TilesAppend(benchmark::State& state) {
  const TileInput input(Rows(20'000));
  for (auto _ : state) {
    Tiles tiles;
    RowStore store(tiles.plan, {.horizon = std::chrono::hours(24)}, tiles.memory);
    for (size_t i = 0; i < input.times.size(); ++i) {
      store.Append(0, input.batch(), std::span(input.numbers).subspan(i, 1), {input.times[i]},
                   i + 1);
      tiles.memory.Collect(i);
    }
    state.counters["bytes_a_row"] =
        static_cast<double>(store.bytes()) / static_cast<double>(store.rows());
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * input.times.size()));
}
BENCHMARK(TilesAppend)->Name("Window/tiles/row");

// All three windows of one key with 1,440 rows in the longest, chunk by chunk.
void TilesRead(benchmark::State& state, bool with_partials) {
  const TileInput input(Rows(2'000));
  Tiles tiles;
  RowStore store(tiles.plan, {.horizon = std::chrono::hours(24)}, tiles.memory);
  store.Append(0, input.batch(), input.numbers, {input.times.back()}, 1);
  const RowImage image = *store.Find(0, 1);
  std::vector<ArgumentBlock> arguments(3);
  for (auto _ : state) {
    Accumulators rows(tiles.plan);
    for (auto at = LeafCursor::First(image.tree); !at.at_end(); at.Next()) {
      const RowBlock block = at.chunk()->Block(store.layout(), arguments.data());
      if (with_partials) {
        rows.MergeRun(at.step(0).node->Run(at.step(0).index, at.step(0).index + 1));
        rows.AddWithoutPartial(block, RowsBelow(at.chunk()->count()));
      } else {
        rows.Add(block, RowsBelow(at.chunk()->count()));
      }
    }
    rows.Add(image.open->Block(store.layout(), arguments.data()), RowsBelow(image.open_count));
    for (size_t f = 0; f < tiles.plan.specs().size(); ++f)
      benchmark::DoNotOptimize(rows.Result(f, std::chrono::hours(24)));
  }
}
BENCHMARK_CAPTURE(TilesRead, partials, true)->Name("Window/tiles/read");
BENCHMARK_CAPTURE(TilesRead, rows, false)->Name("Window/tiles/read_without_partials");

// ---- Sums ----

std::vector<double> Quotients() {
  std::mt19937_64 random(kSeed);
  std::vector<double> values(4096);
  for (double& v : values) v = static_cast<double>(100 + random() % 2400) / 480.0;
  return values;
}

struct Plain {
  double sum = 0;
  void Add(double v) { sum += v; }
};

// Neumaier's: not exact, and not free of order.
struct Compensated {
  double sum = 0, lost = 0;
  void Add(double v) {
    const double next = sum + v;
    lost += std::abs(sum) >= std::abs(v) ? (sum - next) + v : (v - next) + sum;
    sum = next;
  }
};

// The full range alone: the same values a million times smaller do not fit the units.
struct FullRange {
  ExactSum sum;
  void Add(double v) { sum.Add(v * 0x1p-40); }
};

template <typename Sum>
void Sums(benchmark::State& state) {
  const std::vector<double> values = Quotients();
  for (auto _ : state) {
    Sum sum;
    for (const double v : values) sum.Add(v);
    benchmark::DoNotOptimize(sum);
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * values.size()));
}
BENCHMARK(Sums<Plain>)->Name("Sum/plain");
BENCHMARK(Sums<Compensated>)->Name("Sum/compensated");
BENCHMARK(Sums<ExactSum>)->Name("Sum/exact");
BENCHMARK(Sums<FullRange>)->Name("Sum/exact_full_range");

// ---- Pins ----

void PinAndLeave(benchmark::State& state) {
  PinTable pins;
  std::atomic<Step> visible{1};
  for (auto _ : state) pins.Release(pins.Take(visible, {})->slot);
}
BENCHMARK(PinAndLeave)->Name("Pin");

void LookAtPins(benchmark::State& state) {
  PinTable pins;
  for (auto _ : state) benchmark::DoNotOptimize(pins.AnyBefore(1) || pins.Oldest(1) == 0);
}
BENCHMARK(LookAtPins)->Name("Pin/applier_looks_twice");

void SharedMutex(benchmark::State& state) {
  std::shared_mutex mutex;
  for (auto _ : state) {
    const std::shared_lock lock(mutex);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(SharedMutex);

// ---- Keys ----

std::vector<std::string> Keys(size_t count) {
  std::vector<std::string> keys;
  for (size_t i = 0; i < count; ++i)
    keys.push_back("\1card-" + std::to_string(i * 7919) + std::string(2, '\0'));
  return keys;
}

std::vector<uint32_t> Probes(size_t keys) {
  std::mt19937_64 random(kSeed);
  std::vector<uint32_t> probes(1 << 16);
  for (uint32_t& probe : probes) probe = static_cast<uint32_t>(random() % keys);
  return probes;
}

void FindInIndex(benchmark::State& state) {
  const auto keys = Keys(static_cast<size_t>(state.range(0)));
  base::MemoryBudget budget(1ULL << 32);
  StateMemory memory(budget);
  EntityIndex index(memory);
  for (const std::string& key : keys) index.FindOrAdd(key, EntityIndex::HashOf(key), 1);
  const auto probes = Probes(keys.size());
  size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(index.Find(keys[probes[i++ % probes.size()]]));
  state.counters["bytes_a_key"] =
      static_cast<double>(index.bytes()) / static_cast<double>(keys.size());
}
BENCHMARK(FindInIndex)->Name("Find/entity_index")->Arg(229)->Arg(1'000'000);

struct KeyHash {
  using is_avalanching = void;
  size_t operator()(const std::string& key) const { return base::Hash64(key); }
};

template <typename Map>
void FindInMap(benchmark::State& state) {
  const auto keys = Keys(static_cast<size_t>(state.range(0)));
  Map map;
  for (const std::string& key : keys) map.emplace(key, static_cast<uint32_t>(map.size()));
  const auto probes = Probes(keys.size());
  size_t i = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(map.find(keys[probes[i++ % probes.size()]])->second);
}
BENCHMARK(FindInMap<boost::unordered_flat_map<std::string, uint32_t, KeyHash>>)
    ->Name("Find/boost_flat_map")
    ->Arg(229)
    ->Arg(1'000'000);
BENCHMARK(FindInMap<std::unordered_map<std::string, uint32_t, KeyHash>>)
    ->Name("Find/std_map")
    ->Arg(229)
    ->Arg(1'000'000);

}  // namespace
}  // namespace headrace::pipeline

BENCHMARK_MAIN();
