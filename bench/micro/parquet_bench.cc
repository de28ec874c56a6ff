// What the table's data files cost: flights as the publisher writes them, in batches of an epoch's
// size. One thread, no disk.
//   Encode/N   rows/s into Parquet, N rows an epoch; B/row is the file's size
//   Decode     rows/s back into column batches, all columns

#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <string>

#include "columns/batch_builder.h"
#include "env/environment.h"
#include "env/simulated/environment.h"
#include "tables/parquet/parquet_reader.h"
#include "tables/parquet/parquet_writer.h"
#include "tables/table_rows.h"

namespace headrace::tables {
namespace {

using columns::Field;
using columns::Nullable;
using columns::Type;

constexpr uint64_t kSeed = 2001;
constexpr int64_t kRows = 500'000;
constexpr int64_t kMicrosPerFlight = 86'400'000'000 / 16'700;
constexpr int64_t kStartUs = 978'307'200'000'000;
constexpr int64_t kMinuteUs = 60'000'000;

columns::SchemaRef FlightSchema() {
  std::vector<Field> fields;
  for (const auto& [name, type] :
       {std::pair("flight_id", Type::kInt64), std::pair("date", Type::kTimestamp),
        std::pair("landed_at", Type::kTimestamp), std::pair("delay", Type::kInt64),
        std::pair("distance", Type::kInt64), std::pair("origin", Type::kString),
        std::pair("destination", Type::kString)}) {
    fields.push_back({.id = static_cast<uint32_t>(fields.size() + 1),
                      .name = name,
                      .type = type,
                      .nullable = Nullable::kNo});
  }
  return std::make_shared<const columns::Schema>(std::move(fields));
}

std::string Airport(std::mt19937_64& random) {
  const auto number = static_cast<int>(random() % 230 * (random() % 230) / 230);
  return {static_cast<char>('A' + number / 26), static_cast<char>('A' + number % 26), 'X'};
}

columns::ColumnBatch Flights() {
  std::mt19937_64 random(kSeed);
  columns::BatchBuilder builder(FlightSchema());
  for (int64_t i = 0; i < kRows; ++i) {
    const auto delay = static_cast<int64_t>(random() % 60) - 15;
    const auto distance = static_cast<int64_t>(random() % 2500) + 50;
    const int64_t landed = kStartUs + i * kMicrosPerFlight / kMinuteUs * kMinuteUs;
    builder.column(0).AppendInt(i + static_cast<int64_t>(random() % 5000));
    builder.column(1).AppendInt(landed - (delay + 30 + distance / 8) * kMinuteUs);
    builder.column(2).AppendInt(landed);
    builder.column(3).AppendInt(delay);
    builder.column(4).AppendInt(distance);
    builder.column(5).AppendText(Airport(random));
    builder.column(6).AppendText(Airport(random));
  }
  return builder.Finish();
}

EncodedFile Encode(const columns::SchemaRef& schema, const columns::ColumnBatch& flights,
                   size_t epoch_rows) {
  auto writer = ParquetWriter::Make(schema);
  uint64_t epoch = 0;
  for (size_t begin = 0; begin < flights.rows(); begin += epoch_rows) {
    const auto rows = flights.Slice(begin, std::min(flights.rows(), begin + epoch_rows));
    const auto landed = rows.column(2).Int64s();
    HR_CHECK(writer->Write(ToTableRows(schema, {++epoch}, rows, {landed.begin(), landed.end()}))
                 .has_value(),
             "flights can be encoded");
  }
  auto file = writer->Finish();
  HR_CHECK(file.has_value(), "flights can be encoded");
  return std::move(*file);
}

void EncodeFlights(benchmark::State& state) {
  const auto flights = Flights();
  const auto schema = *TableSchema(*FlightSchema());
  uint64_t bytes = 0;
  for (auto _ : state)
    bytes = Encode(schema, flights, static_cast<size_t>(state.range(0))).bytes.size();
  state.SetItemsProcessed(state.iterations() * kRows);
  state.counters["B/row"] = static_cast<double>(bytes) / kRows;
}

void DecodeFlights(benchmark::State& state) {
  const auto schema = *TableSchema(*FlightSchema());
  const EncodedFile file = Encode(schema, Flights(), 2000);
  env::simulated::SimulatedEnvironment machine(kSeed);
  HR_CHECK(env::PutAtomically(machine.files(), "flights.parquet", file.bytes.bytes()).has_value(),
           "the file can be stored");
  for (auto _ : state) {
    const auto reader = ParquetReader::Open(machine.files(), "flights.parquet");
    const auto scanned = (*reader)->Scan(
        schema, [](const columns::ColumnBatch&) -> base::Result<void> { return {}; });
    HR_CHECK(scanned.has_value(), "the file can be read");
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}

BENCHMARK(EncodeFlights)
    ->Name("Encode")
    ->Arg(100)
    ->Arg(2000)
    ->Arg(100'000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(DecodeFlights)->Name("Decode")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace headrace::tables

BENCHMARK_MAIN();
