#include "pipeline/pipeline_file.h"

#include <gtest/gtest.h>

#include "pipeline/definition.h"
#include "pipeline/flights_fixture.h"

namespace headrace::pipeline {
namespace {

TEST(PipelineFile, ReadsTheFlightsPipeline) {
  const CheckedPipeline checked = Check(kFlightsPipeline);
  ASSERT_NE(checked.definition, nullptr) << Rendered(kFlightsPipeline);
  const PipelineDefinition& definition = *checked.definition;
  EXPECT_EQ(definition.name, "flights");
  EXPECT_EQ(definition.clock, log::ClockMode::kEvents);
  EXPECT_EQ(definition.promise.outside.at("network"), std::chrono::milliseconds(15));
  ASSERT_EQ(definition.streams.size(), 1U);
  EXPECT_EQ(definition.streams[0].timing.event_time_field, 2U);
  EXPECT_EQ(definition.streams[0].timing.late, std::chrono::hours(24));
  EXPECT_EQ(definition.streams[0].timing.max_ahead, std::chrono::hours(24));
  EXPECT_EQ(definition.streams[0].known_at.kind, KnownAtRule::Kind::kEventTime);
  ASSERT_EQ(definition.views.size(), 3U);
  const ViewDefinition& origin = definition.views[0];
  EXPECT_EQ(origin.entity, "origin");
  EXPECT_EQ(origin.outputs.size(), 18U);
  EXPECT_EQ(origin.outputs[0].name, "flights_1h");
  EXPECT_EQ(origin.outputs[5].name, "mean_delay_24h");
  EXPECT_EQ(origin.arguments.size(), 3U) << "delay, delay > 15 and distance / 480.0, each once";
  EXPECT_EQ(origin.features[4].quantile_bits, 7);
  EXPECT_EQ(origin.outputs[15].type, columns::Type::kFloat64);
  EXPECT_EQ(definition.views[1].outputs[0].name, "flights_24h") << "windows ascend";
  EXPECT_EQ(definition.views[2].entity, origin.entity);
  EXPECT_TRUE(definition.views[2].lifetime());
  ASSERT_EQ(definition.on_request.size(), 1U);
  EXPECT_EQ(definition.on_request[0].inputs->size(), 2U);
  EXPECT_EQ(definition.on_request[0].inputs->field(0).name, "origin.mean_delay_1h");
  EXPECT_EQ(definition.services[0].features.size(), 18U + 4U + 2U + 1U);
  EXPECT_EQ(definition.services[0].features.back().kind, FeatureReference::Kind::kOnRequest);
  EXPECT_EQ(definition.tables[0].commit, std::chrono::seconds(2));
}

TEST(PipelineFile, EncodedDefinitionReadsBack) {
  const CheckedPipeline checked = Check(kFlightsPipeline);
  ASSERT_NE(checked.definition, nullptr);
  const std::vector<uint8_t> bytes = EncodeDefinition(*checked.definition);
  const auto decoded = DecodeDefinition(bytes);
  ASSERT_TRUE(decoded) << decoded.error().ToString();
  EXPECT_EQ((*decoded)->id, checked.definition->id);
  EXPECT_EQ(EncodeDefinition(**decoded), bytes);
  for (size_t size = 0; size < bytes.size(); size += 97)
    EXPECT_FALSE(DecodeDefinition(std::span(bytes).first(size)));
}

TEST(PipelineFile, IdFollowsTextAndContracts) {
  const auto id = Check(kFlightsPipeline).definition->id;
  EXPECT_EQ(Check(kFlightsPipeline).definition->id, id);
  EXPECT_NE(Check(With("late: 1d", "late: 2d")).definition->id, id);
  const FileSource other =
      Files({{"contracts/flights.yaml", std::string(kFlightsContract) + "# a remark\n"}});
  EXPECT_NE(CheckPipeline("pipeline.yaml", kFlightsPipeline, other).definition->id, id);
}

}  // namespace
}  // namespace headrace::pipeline
