// What a key's length costs, one thread, CPU time (docs/adr/0015). One key has N rows, evenly over
// 24 hours; windows of 1 h and 24 h.
//   Read/<aggregates>/N  a lookup of both windows, as of the clock
//   Append/N             an epoch of one row
//   Late/N               an epoch of one row, its event time anywhere in the 24 hours

#include <memory>
#include <random>
#include <string>

#include <benchmark/benchmark.h>

#include "columns/batch_builder.h"
#include "columns/key.h"
#include "payments.h"
#include "pipeline/views/view_set.h"

namespace headrace::pipeline {
namespace {

constexpr base::StreamId kStream{1};
constexpr int64_t kDay = 86'400'000'000;

constexpr std::string_view kCountry =
    "      - {name: country, logicalType: string, required: true}\n";

constexpr std::string_view kSums = "{n: count(*), spend: sum(amount)}";
constexpr std::string_view kRanges = "{least: min(amount), most: max(amount)}";
constexpr std::string_view kTexts = "{n: count(*), first: min(country), country: last(country)}";
constexpr std::string_view kQuantile = "{median: quantile(amount, 0.5)}";

PipelineRef Pipeline(std::string_view features) {
  const std::string text =
      "headrace: 1\npipeline: payments\npromise: {budget: {p99: 200ms}}\nclock: events\nmemory: "
      "16GiB\nstreams:\n  payments: {contract: payments.yaml, source: {http: push}, time: {event: "
      "paid_at, late: 30d}}\nviews:\n  card: {from: payments, by: card, over: [1h, 24h], "
      "features: " +
      std::string(features) + "}\n";
  return bench::PaymentsPipeline(text, kCountry);
}

class ZeroClock final : public env::Clock {
 public:
  env::MonotonicTime Now() const override { return {}; }
  base::Timestamp Wall() const override { return {0}; }
};

// A view set whose one key has rows.
class LongKey {
 public:
  LongKey(std::string_view features, int64_t rows)
      : pipeline_(Pipeline(features)), gap_(kDay / rows), views_(pipeline_, budget_, clock_) {
    views_.BindStream(0, kStream);
    columns::AppendKeyValue(key_, columns::Value::Int64(1));
    for (int64_t done = 0; done < rows; done += kRowsPerEpoch) {
      std::vector<int64_t> times;
      for (int64_t i = done; i < std::min(rows, done + kRowsPerEpoch); ++i)
        times.push_back(now_ += gap_);
      Apply(times);
    }
  }
  void Apply(const std::vector<int64_t>& times) {
    columns::BatchBuilder builder(pipeline_->streams[0].schema());
    for (const int64_t at : times) {
      builder.column(0).AppendInt(1);
      builder.column(1).AppendInt(at);
      builder.column(2).AppendDouble(static_cast<double>(random_() % 10'000) / 100);
      builder.column(3).AppendText(random_() % 2 == 0 ? "Norway" : "the Netherlands");
    }
    auto epoch = std::make_shared<log::Epoch>();
    epoch->id = {++epochs_};
    epoch->clock = {now_};
    epoch->streams.push_back({kStream, builder.Finish()});
    const log::EpochRef ref = std::move(epoch);
    views_.Apply({&ref, 1});
  }
  ViewAnswer Read() {
    const auto pin = views_.PinNewest();
    return *views_.Get(*pin, 0, key_, {now_});
  }

  static constexpr int64_t kRowsPerEpoch = 10'000;
  ZeroClock clock_;
  base::MemoryBudget budget_{16ULL << 30};
  PipelineRef pipeline_;
  int64_t gap_;
  int64_t now_ = 1'000'000'000'000'000;
  uint64_t epochs_ = 0;
  std::mt19937_64 random_{1};
  columns::KeyBytes key_;
  ViewSet views_;
};

void Read(benchmark::State& state, std::string_view features) {
  LongKey key(features, state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(key.Read());
}
BENCHMARK_CAPTURE(Read, sums, kSums)->RangeMultiplier(32)->Range(32, 1 << 20);
BENCHMARK_CAPTURE(Read, ranges, kRanges)->RangeMultiplier(32)->Range(32, 1 << 20);
BENCHMARK_CAPTURE(Read, texts, kTexts)->RangeMultiplier(32)->Range(32, 1 << 20);
BENCHMARK_CAPTURE(Read, quantile, kQuantile)->RangeMultiplier(32)->Range(32, 1 << 20);

void Append(benchmark::State& state) {
  LongKey key(kSums, state.range(0));
  for (auto _ : state) key.Apply({key.now_ += key.gap_});
}
BENCHMARK(Append)->RangeMultiplier(32)->Range(32, 1 << 20);

void Late(benchmark::State& state) {
  LongKey key(kSums, state.range(0));
  for (auto _ : state)
    key.Apply({key.now_ - static_cast<int64_t>(key.random_() % static_cast<uint64_t>(kDay))});
}
BENCHMARK(Late)->RangeMultiplier(32)->Range(32, 1 << 20)->Iterations(2000);

}  // namespace
}  // namespace headrace::pipeline

BENCHMARK_MAIN();
