// What expressions cost a row, in batches of 4,096 rows and for one row alone. One thread.
//   Column/...   ns a row (items_per_second is its inverse)
//   Row/...      ns an evaluation of one row

#include <random>
#include <string>

#include <benchmark/benchmark.h>

#include "columns/batch_builder.h"
#include "pipeline/expressions/expression.h"

namespace headrace::pipeline {
namespace {

using columns::Type;
using columns::Value;

constexpr size_t kRows = 4096;

columns::SchemaRef TheSchema() {
  static const auto kSchema = std::make_shared<const columns::Schema>(
      std::vector<columns::Field>{{1, "lat", Type::kFloat64},
                                  {2, "lon", Type::kFloat64},
                                  {3, "n", Type::kInt64},
                                  {4, "url", Type::kString},
                                  {5, "payload", Type::kString},
                                  {6, "t", Type::kTimestamp},
                                  {7, "wall", Type::kTimestampNtz},
                                  {8, "name", Type::kString}});
  return kSchema;
}

// A day of payments: places in Europe, a JSON payload of 150 bytes.
columns::ColumnBatch MakeRows() {
  std::mt19937_64 random(2001);
  const auto unit = [&] { return static_cast<double>(random() >> 11) * 0x1p-53; };
  columns::BatchBuilder builder(TheSchema());
  for (size_t row = 0; row < kRows; ++row) {
    const int64_t t = 978'307'200'000'000 + static_cast<int64_t>(random() % 86'400'000'000ULL);
    builder.column(0).AppendDouble(40 + 20 * unit());
    builder.column(1).AppendDouble(25 * unit());
    builder.column(2).AppendInt(static_cast<int64_t>(random() % 100'000));
    builder.column(3).AppendText("https://shop" + std::to_string(random() % 900) +
                                 ".example/items/view?id=" + std::to_string(random() % 10'000));
    builder.column(4).AppendText(
        R"({"id": "f2c1a9", "amount": )" + std::to_string(random() % 10'000) +
        R"(.25, "shop": {"name": "Bahnhofstrasse", "country": "CH", "tags": ["food", "late"]}, )"
        R"("device": {"os": "x", "trusted": true}, "lines": 3})");
    builder.column(5).AppendInt(t);
    builder.column(6).AppendInt(t);
    builder.column(7).AppendText("card-" + std::to_string(random() % 100'000));
  }
  return builder.Finish();
}
const columns::ColumnBatch& TheRows() {
  static const columns::ColumnBatch kBatch = MakeRows();
  return kBatch;
}

Expression Compiled(const std::string& text) {
  auto expression = Expression::Compile(text, TheSchema());
  HR_CHECK(expression.has_value(), "the benchmark's expression is broken");
  return std::move(*expression);
}

void OverColumns(benchmark::State& state, const std::string& text) {
  const Expression expression = Compiled(text);
  for (auto _ : state) benchmark::DoNotOptimize(expression.Evaluate(TheRows()));
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kRows));
  state.counters["ns_per_row"] =
      benchmark::Counter(static_cast<double>(state.iterations() * kRows) * 1e-9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void OverOneRow(benchmark::State& state, const std::string& text) {
  const Expression expression = Compiled(text);
  std::vector<Value> row;
  for (const columns::Column& column : TheRows().columns()) row.push_back(column.At(0));
  for (auto _ : state) benchmark::DoNotOptimize(expression.Evaluate(row));
}

constexpr const char* kTexts[] = {
    "n > 500 AND n % 7 <> 3",
    "ln(n + 1)",
    "exp(lat / 100)",
    "pow(lat, 1.5)",
    "sin(lon)",
    "haversine(lat, lon, 52.52, 13.405)",
    "payload ->> '$.shop.country'",
    "CAST(payload ->> '$.amount' AS float64)",
    "regexp_matches(url, 'shop[0-9]*7\\.')",
    "regexp_extract(url, 'id=([0-9]+)', 1)",
    "parse_url(url, 'HOST')",
    "t AT TIME ZONE 'Europe/Berlin'",
    "extract(hour FROM t AT TIME ZONE 'Europe/Berlin')",
    "wall AT TIME ZONE 'Europe/Berlin'",
    "date_trunc('month', t)",
    "strftime(t, '%Y-%m-%d')",
    "hash_bucket(name, 1000)",
    "md5(name)",
    "split_part(name, '-', 2)",
};

}  // namespace
}  // namespace headrace::pipeline

int main(int argc, char** argv) {
  for (const char* text : headrace::pipeline::kTexts)
    benchmark::RegisterBenchmark((std::string("Column/") + text).c_str(),
                                 headrace::pipeline::OverColumns, text);
  for (const char* text : headrace::pipeline::kTexts)
    benchmark::RegisterBenchmark((std::string("Row/") + text).c_str(),
                                 headrace::pipeline::OverOneRow, text);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
