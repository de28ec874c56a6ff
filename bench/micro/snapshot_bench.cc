// snapshot_bench [keys] [rows per key]: how fast state is captured and restored, without disk, on
// one thread; and what one row costs in memory and in a snapshot. Payments by card: count, sum,
// largest.

#include <chrono>
#include <cstdlib>
#include <random>

#include <fmt/core.h>

#include "columns/batch_builder.h"
#include "payments.h"
#include "pipeline/views/view_capture.h"
#include "pipeline/views/view_restore.h"

namespace headrace::pipeline {
namespace {

constexpr base::StreamId kStream{1};
constexpr uint64_t kRowsPerEpoch = 100'000;
constexpr int64_t kMicrosPerRow = 10;

constexpr std::string_view kPipeline = R"(headrace: 1
pipeline: payments
promise: {budget: {p99: 200ms}}
clock: events
memory: 16GiB
streams:
  payments: {contract: payments.yaml, source: {http: push}, time: {event: paid_at}}
views:
  card: {from: payments, by: card, over: [1h, 24h], features: {n: count(*), spend: sum(amount), most: max(amount)}}
)";

class FixedClock final : public env::Clock {
 public:
  env::MonotonicTime Now() const override { return env::MonotonicTime{1}; }
  base::Timestamp Wall() const override { return {0}; }
};

double SecondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

int Run(uint64_t keys, uint64_t rows_per_key) {
  const PipelineRef definition = bench::PaymentsPipeline(std::string(kPipeline));
  FixedClock clock;
  base::MemoryBudget budget{16ULL << 30};
  ViewSet views(definition, budget, clock);
  views.BindStream(0, kStream);
  std::mt19937_64 random(1);
  const uint64_t rows = keys * rows_per_key;
  auto begin = std::chrono::steady_clock::now();
  int64_t at = 1'000'000'000'000;
  for (uint64_t done = 0, epoch = 1; done < rows; done += kRowsPerEpoch, ++epoch) {
    columns::BatchBuilder builder(definition->streams[0].schema());
    for (uint64_t i = 0; i < kRowsPerEpoch; ++i) {
      builder.column(0).AppendInt(static_cast<int64_t>(random() % keys));
      builder.column(1).AppendInt(at += kMicrosPerRow);
      builder.column(2).AppendDouble(static_cast<double>(random() % 100'000) / 100);
    }
    auto sealed = std::make_shared<log::Epoch>();
    sealed->id = {epoch};
    sealed->clock = {at};
    sealed->streams.push_back({kStream, builder.Finish()});
    views.Apply({{log::EpochRef(sealed)}});
  }
  const double state_mib = static_cast<double>(views.bytes()) / 0x1p20;
  fmt::print("state     {} keys, {} rows, {:.0f} MiB ({:.0f} bytes a row), built in {:.1f} s\n",
             keys, rows, state_mib, static_cast<double>(views.bytes()) / static_cast<double>(rows),
             SecondsSince(begin));

  begin = std::chrono::steady_clock::now();
  std::vector<std::vector<uint8_t>> pieces;
  ViewCapture capture(views);
  const auto layout = capture.Layout();
  uint64_t bytes = 0;
  while (true) {
    std::vector<uint8_t> piece;
    if (!*capture.Next(piece)) break;
    bytes += piece.size();
    pieces.push_back(std::move(piece));
  }
  const double captured_mib = static_cast<double>(bytes) / 0x1p20;
  double seconds = SecondsSince(begin);
  fmt::print("captured  {:.0f} MiB ({:.0f} bytes a row) in {:.2f} s, {:.0f} MiB/s\n", captured_mib,
             static_cast<double>(bytes) / static_cast<double>(rows), seconds,
             captured_mib / seconds);

  begin = std::chrono::steady_clock::now();
  ViewSet restored(definition, budget, clock);
  auto restore = ViewRestore::Begin(restored, layout);
  for (const auto& piece : pieces) HR_CHECK(restore->Add(piece).has_value(), "a piece is broken");
  restore->Finish(capture.after(), capture.after_clock());
  seconds = SecondsSince(begin);
  fmt::print("restored  in {:.2f} s, {:.0f} MiB/s, state {:.0f} MiB\n", seconds,
             captured_mib / seconds, static_cast<double>(restored.bytes()) / 0x1p20);
  return 0;
}

}  // namespace
}  // namespace headrace::pipeline

int main(int argc, char** argv) {
  const uint64_t keys = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
  const uint64_t rows = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 20;
  return headrace::pipeline::Run(keys, rows);
}
