#include <gtest/gtest.h>

#include "columns/batch_builder.h"
#include "contract/diagnostic.h"
#include "log/reader.h"
#include "pipeline/pipeline_file.h"
#include "serving/answer_log.h"
#include "training/testing/shop.h"

namespace headrace::training::testing {
namespace {

constexpr const char* kPipeline = R"(headrace: 1
pipeline: shop
promise: {budget: {p99: 200ms}}
clock: events
streams:
  orders:
    contract: orders.yaml
    source: {http: push}
    time: {event: at, late: 1h}
    history: {arrived: at + 3s}
views:
  customer:
    from: orders
    by: customer
    over: [10m, 1h]
    features:
      orders: count(*)
      spend: sum(amount)
      quarters: sum(amount / 4.0)
      p50: quantile(amount, 0.5)
      recent: last_n(amount, 3)
      spread: stddev_samp(amount / 4.0)
      kinds: count(distinct amount)
      often: top_k(amount, 2)
      fading: decayed_sum(amount, 90s)
  latest:
    from: orders
    by: customer
    features: {last_amount: last(amount)}
inputs: {basket: float64, member_since: timestamp}
on_request:
  share: customer.spend_10m / nullif(customer.spend_1h, 0)
  over: basket - latest.last_amount
  joined: member_since
services:
  checkout: {features: [customer.*, latest.*, share, over]}
  members: {features: [latest.last_amount, joined]}
  joiners: {features: [joined]}
  fresh: {features: [latest.last_amount], max_lag: 5s}
tables: {orders: {commit: 1h}}
)";

constexpr const char* kContract = R"(apiVersion: v3.1.0
kind: DataContract
id: orders
name: orders
version: 1.0.0
status: active
schema:
  - name: orders
    logicalType: object
    properties:
      - {name: id, logicalType: integer, physicalType: int64, required: true}
      - {name: at, logicalType: timestamp, physicalType: timestamp, required: true}
      - {name: customer, logicalType: string, physicalType: string}
      - {name: amount, logicalType: integer, physicalType: int64}
)";

pipeline::PipelineRef ReadPipeline(const std::string& pipeline) {
  auto checked = pipeline::CheckPipeline(
      "shop.yaml", pipeline,
      [](const std::string&) -> base::Result<std::string> { return std::string(kContract); });
  for (const contract::Diagnostic& diagnostic : checked.diagnostics)
    ADD_FAILURE() << contract::Render(diagnostic, pipeline);
  return checked.definition;
}

}  // namespace

Shop::Shop(uint64_t seed) : machine(seed), definition(ReadPipeline(kPipeline)) {
  log::LogOptions options;
  options.clock = log::ClockMode::kEvents;
  options.segment_bytes = 1 << 20;
  auto opened = log::Sequencer::Open(machine, budget_, std::string(kDataFolder) + "/log", options,
                                     [](const log::Epoch&) -> base::Result<void> { return {}; });
  HR_CHECK(opened.has_value(), opened ? "" : opened.error().ToString());
  sequencer_ = std::move(*opened);
  const pipeline::StreamDefinition& orders = definition->streams[0];
  stream_ = *sequencer_->AddStream(orders.name, orders.schema(), orders.timing);
  views = std::make_unique<pipeline::ViewSet>(definition, budget_, machine.clock());
  views->BindStream(0, stream_);
  tables::PublisherOptions publish;
  publish.folder = std::string(kDataFolder) + "/tables/orders";
  publish.commit = std::chrono::hours(1);
  publisher_ = std::make_unique<tables::Publisher>(
      machine, budget_,
      tables::PublishedStream{stream_, orders.name, orders.schema(), orders.timing.event_time_field,
                              orders.known_at},
      publish);
  sequencer_->Start([this](const log::EpochRef& epoch) {
    EXPECT_TRUE(publisher_->NoteDurable(*epoch));
    views->Apply(std::span(&epoch, 1));
    sequencer_->MarkVisible(epoch->id, machine.clock().Wall());
  });
  auto reader = log::LogReader::Open(machine, std::string(kDataFolder) + "/log");
  HR_CHECK(reader.has_value(), "the log can be read");
  publisher_->Start(std::move(*reader), [this](log::ControlEntry entry, auto done) {
    sequencer_->Append(std::move(entry), std::move(done));
  });
  LogDefinition(*definition);
  waiting_ = machine.NewExecutor("answers", env::Priority::kRealTime);
  auto service =
      serving::AnswerService::Make({.views = views.get(),
                                    .log = sequencer_->status().log,
                                    .log_clock = {},
                                    .waiting = waiting_.get(),
                                    .clock = &machine.clock(),
                                    .on_answer = [this](const serving::FeatureAnswer& answer) {
                                      serving::AppendAnswerLines(answer, answers);
                                    }});
  HR_CHECK(service.has_value(), "the service compiles");
  service_ = std::move(*service);
}

void Shop::LogDefinition(const pipeline::PipelineDefinition& named) {
  sequencer_->Append({log::ControlEntry::Kind::kDefinition, named.id.ToString(),
                      pipeline::EncodeDefinition(named)},
                     [](const base::Result<base::EpochId>& logged) { EXPECT_TRUE(logged); });
  machine.RunUntilIdle();
}

void Shop::NameWallClock() {
  std::string pipeline = kPipeline;
  const std::string clock = "clock: events";
  LogDefinition(*ReadPipeline(pipeline.replace(pipeline.find(clock), clock.size(), "clock: wall")));
}

Shop::~Shop() {
  publisher_.reset();
  service_.reset();
  sequencer_.reset();
}

void Shop::Send(const std::vector<Order>& orders) {
  columns::BatchBuilder builder(definition->streams[0].schema());
  for (const Order& order : orders) {
    builder.column(0).AppendInt(order.id);
    builder.column(1).AppendInt(kStartUs + order.at_s * 1'000'000);
    if (order.customer.empty()) {
      builder.column(2).AppendNull();
    } else {
      builder.column(2).AppendText(order.customer);
    }
    builder.column(3).AppendInt(order.amount);
  }
  columns::EventBatch batch;
  batch.stream = stream_;
  batch.rows = builder.Finish();
  bool done = false;
  sequencer_->Submit(std::move(batch), [&](const base::Result<log::Acknowledgement>& ack) {
    ASSERT_TRUE(ack) << ack.error().ToString();
    EXPECT_EQ(ack->accepted, orders.size());
    done = true;
  });
  EXPECT_TRUE(machine.RunUntil([&] { return done; }));
}

void Shop::Publish() {
  std::optional<base::Result<void>> answer;
  publisher_->Flush([&](base::Result<void> done) { answer = std::move(done); });
  EXPECT_TRUE(machine.RunUntil([&] { return answer.has_value(); }));
  EXPECT_TRUE(answer && *answer);
}

serving::FeatureAnswer Shop::Ask(const serving::FeatureQuery& query) {
  auto answer = service_->Answer(query);
  EXPECT_TRUE(answer) << answer.error().ToString();
  return answer ? std::move(*answer) : serving::FeatureAnswer{};
}

serving::FeatureAnswer Shop::Ask(const std::string& customer, double basket) {
  serving::FeatureQuery query;
  query.service = "checkout";
  query.inputs = {{"customer", {columns::Value::String(customer)}},
                  {"basket", {columns::Value::Float64(basket)}}};
  return Ask(query);
}

serving::FeatureAnswer Shop::AskList(const std::string& customer,
                                     const std::vector<std::string>& features) {
  serving::FeatureQuery query;
  query.features = features;
  query.inputs = {{"customer", {columns::Value::String(customer)}}};
  return Ask(query);
}

void Shop::WriteAnswers() {
  EXPECT_TRUE(
      env::PutAtomically(machine.files(), kAnswersFile,
                         {reinterpret_cast<const uint8_t*>(answers.data()), answers.size()}));
}

}  // namespace headrace::training::testing
