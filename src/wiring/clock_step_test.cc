// What a core writes down as the time at which rows became known, when the wall clock steps: a
// label's cut by time is taken on it, so it may not go back behind answers that were given without
// those rows.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

#include "columns/batch_builder.h"
#include "env/simulated/environment.h"
#include "log/reader.h"
#include "pipeline/pipeline_file.h"
#include "wiring/engine.h"

namespace headrace::wiring {
namespace {

using env::simulated::SimulatedEnvironment;

constexpr std::string_view kPipeline = R"(headrace: 1
pipeline: payments
promise: {budget: {p99: 200ms}}
streams:
  payments: {contract: payments.yaml, source: {http: push}, time: {event: paid_at, late: 48h}}
views:
  card: {from: payments, by: card, over: [1h], features: {n: count(*)}}
)";
constexpr std::string_view kContract = R"(apiVersion: v3.1.0
kind: DataContract
id: payments
version: 1.0.0
status: active
schema:
  - name: payments
    logicalType: object
    properties:
      - {name: card, logicalType: integer, required: true}
      - {name: paid_at, logicalType: timestamp, required: true}
)";

class ClockStep : public testing::Test {
 protected:
  ClockStep() {
    const auto checked = pipeline::CheckPipeline(
        "pipeline.yaml", std::string(kPipeline),
        [](const std::string&) { return base::Result<std::string>(std::string(kContract)); });
    definition_ = checked.definition;
    machine_->StepWall(base::Timestamp{1'767'261'600'000'000} - machine_->clock().Wall());
    began_ = machine_->clock().Wall();
    machine_->Run([&] {
      core_ = *Core::Start(
          *machine_,
          {.definition = definition_, .data_folder = "data", .log = {}, .answers_file = {}});
    });
  }
  ~ClockStep() override {
    machine_->Crash();
    core_.reset();
  }

  void Send() {
    columns::BatchBuilder builder(definition_->streams[0].schema());
    builder.column(0).AppendInt(1);
    builder.column(1).AppendInt(began_.us);
    columns::EventBatch batch = definition_->streams[0].contract->Enforce(builder.Finish());
    std::optional<base::Result<log::Acknowledgement>> answer;
    machine_->Run([&] {
      batch.stream = *core_->StreamNamed("payments");
      core_->Submit(std::move(batch), [&](auto ack) { answer = std::move(ack); });
    });
    machine_->RunUntil([&] { return answer && core_->visible() >= (*answer)->epoch; });
    ASSERT_TRUE(answer && answer->has_value());
    ASSERT_EQ((*answer)->accepted, 1U);
  }

  std::vector<log::Epoch> Epochs() {
    std::vector<log::Epoch> epochs;
    machine_->Run([&] {
      const auto reader = log::LogReader::Open(*machine_, "data/log");
      (void)(*reader)->Scan({1}, *(*reader)->Newest(), [&](const log::EpochRef& epoch) {
        epochs.push_back(*epoch);
        return base::Result<void>();
      });
    });
    return epochs;
  }

  pipeline::PipelineRef definition_;
  std::unique_ptr<SimulatedEnvironment> machine_ = std::make_unique<SimulatedEnvironment>(1);
  base::Timestamp began_;
  std::unique_ptr<Core> core_;
};

TEST_F(ClockStep, WhatWasKnownWhenDoesNotGoBackOrAheadWithTheWall) {
  for (const base::Duration step : {base::Duration(0), base::Duration(-std::chrono::hours(10)),
                                    base::Duration(std::chrono::hours(30))}) {
    machine_->StepWall(step);
    machine_->RunFor(std::chrono::seconds(1));
    Send();
    Send();  // tells when the one before became visible
  }
  const std::vector<log::Epoch> epochs = Epochs();
  ASSERT_GE(epochs.size(), 6U);
  base::Timestamp last = base::Timestamp::Min();
  for (const log::Epoch& epoch : epochs) {
    if (epoch.visible_through.value > 0) {
      EXPECT_GE(epoch.visible_at, last) << "epoch " << epoch.id.value;
      EXPECT_LT(epoch.visible_at - began_, std::chrono::minutes(1)) << "epoch " << epoch.id.value;
      last = epoch.visible_at;
    }
    EXPECT_LT(epoch.sealed_at - began_, std::chrono::minutes(1)) << "epoch " << epoch.id.value;
    EXPECT_GE(epoch.sealed_at, began_) << "epoch " << epoch.id.value;
  }
}

}  // namespace
}  // namespace headrace::wiring
