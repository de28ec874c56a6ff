// History of rows that lists become, whose limit is of whole epochs.

#include "wiring/stream_history.h"

#include <gtest/gtest.h>

#include "columns/batch_builder.h"
#include "env/simulated/environment.h"
#include "log/sequencer.h"
#include "pipeline/pipeline_file.h"
#include "pipeline/streams/unnest.h"

namespace headrace::wiring {
namespace {

constexpr const char* kPipeline = R"(headrace: 1
pipeline: orders
promise: {budget: {p99: 200ms}}
clock: events
streams:
  orders: {contract: orders.yaml, source: {http: push}, time: {event: at, late: 1h}}
  lines:
    from: orders
    unnest: {list: lines, as: text, element: line, at_most: 1000}
    where: line = '1'
views:
  line: {from: lines, by: line, features: {n: count(*)}}
)";

constexpr const char* kContract = R"(apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
  - name: orders
    logicalType: object
    properties:
      - {name: lines, logicalType: string}
      - {name: at, logicalType: timestamp, required: true}
)";

constexpr int kLines = 400;

// A log with one epoch of orders of kLines lines each, of which every second one stays.
class Orders {
 public:
  explicit Orders(size_t orders) {
    definition = pipeline::CheckPipeline("orders.yaml", kPipeline, [](const std::string&) {
                   return base::Result<std::string>(kContract);
                 }).definition;
    log::LogOptions options;
    options.clock = log::ClockMode::kEvents;
    auto sequencer = log::Sequencer::Open(machine, budget, "data/log", options,
                                          [](const log::Epoch&) { return base::Result<void>(); });
    const pipeline::StreamDefinition& stream = definition->streams[0];
    id = *(*sequencer)->AddStream(stream.name, stream.schema(), stream.timing);
    (*sequencer)->Start([](const log::EpochRef&) {});
    columns::BatchBuilder builder(stream.schema());
    std::string lines = "[1";
    for (int i = 1; i < kLines; ++i) lines += i % 2 == 0 ? ",1" : ",2";
    lines += "]";
    for (size_t i = 0; i < orders; ++i) {
      builder.column(0).AppendText(lines);
      builder.column(1).AppendInt(1'000'000);
    }
    columns::EventBatch batch;
    batch.stream = id;
    batch.rows = builder.Finish();
    std::optional<base::EpochId> durable;
    (*sequencer)->Submit(std::move(batch), [&](const base::Result<log::Acknowledgement>& ack) {
      durable = ack ? ack->epoch : base::EpochId{};
    });
    EXPECT_TRUE(machine.RunUntil([&] { return durable.has_value(); }));
    epoch = *durable;
  }

  base::Result<uint64_t> Lines() {
    HR_TRY(const auto history, StreamHistory::Open(machine, budget,
                                                   {.definition = *definition,
                                                    .number = 1,
                                                    .id = id,
                                                    .after = {},
                                                    .data_folder = "data"}));
    uint64_t lines = 0;
    while (true) {
      HR_TRY(const auto rows, history->Next(epoch));
      if (!rows) return lines;
      EXPECT_EQ(rows->positions.front(), columns::Position::Of(epoch, lines));
      lines += rows->rows.rows();
    }
  }

  env::simulated::SimulatedEnvironment machine{1};
  base::MemoryBudget budget{1ULL << 34};
  pipeline::PipelineRef definition;
  base::StreamId id;
  base::EpochId epoch;
};

TEST(StreamHistory, OfListsIsWholeUpToTheLimitOfAnEpoch) {
  constexpr size_t kOrders = pipeline::kUnnestedRowsMax / kLines;
  const auto lines = Orders(kOrders).Lines();
  ASSERT_TRUE(lines) << lines.error().ToString();
  EXPECT_EQ(*lines, kOrders * kLines / 2);
}

// Live the elements behind the limit were left out, also those that the condition would have left
// out: which rows there were is not told by a part of the epoch.
TEST(StreamHistory, OfListsWithMoreElementsThanMayBecomeRowsIsRefused) {
  const auto lines = Orders(pipeline::kUnnestedRowsMax / kLines + 10).Lines();
  ASSERT_FALSE(lines) << *lines;
  EXPECT_EQ(lines.error().code(), base::ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace headrace::wiring
