#include "pipeline/pipeline_file.h"

#include <gtest/gtest.h>

#include <map>

#include "pipeline/definition.h"

namespace headrace::pipeline {
namespace {

constexpr std::string_view kContract = R"(apiVersion: v3.1.0
kind: DataContract
id: flights
version: 1.0.0
status: active
schema:
  - name: flights
    logicalType: object
    properties:
      - {name: flight_id, logicalType: integer, required: true, primaryKey: true, unique: true}
      - {name: date, logicalType: timestamp, required: true}
      - {name: landed_at, logicalType: timestamp, required: true}
      - {name: delay, logicalType: integer, required: true}
      - {name: distance, logicalType: integer, required: true, logicalTypeOptions: {minimum: 1}}
      - {name: origin, logicalType: string, required: true}
      - {name: destination, logicalType: string, required: true}
      - {name: fuel, logicalType: number}
      - {name: seen_at, logicalType: timestamp}
)";

constexpr std::string_view kPipeline = R"(headrace: 1
pipeline: flights
promise: {budget: {p99: 200ms}, outside: {network: 15ms}}
clock: events
streams:
  flights:
    contract: contracts/flights.yaml
    source: {flight: push}
    time: {event: landed_at, late: 1d}
views:
  origin:
    from: flights
    by: origin
    over: [1h, 6h, 24h]
    features:
      flights: count(*)
      mean_delay: avg(delay)
      max_delay: max(delay)
      late_share: share(delay > 15)
      p90_delay: quantile(delay, 0.9)
      air_hours: sum(distance / 480.0)
  route:
    from: flights
    by: [origin, destination]
    over: [7d, 24h]
    features: {flights: count(*), mean_delay: avg(delay)}
  origin_last:
    from: flights
    by: origin
    features: {last_delay: last(delay), last_destination: last(destination)}
on_request: {delay_trend: origin.mean_delay_1h - origin.mean_delay_24h}
services: {departure: {features: [origin.*, route.*, origin_last.*, delay_trend]}}
tables: {flights: {commit: 2s}}
)";

FileSource Files(std::map<std::string, std::string> files) {
  return [files = std::move(files)](const std::string& name) -> base::Result<std::string> {
    const auto found = files.find(name);
    if (found == files.end()) return base::Fail(base::ErrorCode::kNotFound, "there is no such file");
    return found->second;
  };
}

FileSource FlightFiles() { return Files({{"contracts/flights.yaml", std::string(kContract)}}); }

CheckedPipeline Check(std::string_view text) { return CheckPipeline("pipeline.yaml", text, FlightFiles()); }

std::string Rendered(std::string_view text) {
  std::string all;
  for (const contract::Diagnostic& d : Check(text).diagnostics) all += Render(d, d.file == "pipeline.yaml" ? text : kContract);
  return all;
}

// The flights pipeline with `what` in place of `old`.
std::string With(std::string_view old, std::string_view what) {
  std::string text(kPipeline);
  const size_t at = text.find(old);
  EXPECT_NE(at, std::string::npos) << old;
  return text.replace(at, old.size(), what);
}

TEST(PipelineFile, ReadsTheFlightsPipeline) {
  const CheckedPipeline checked = Check(kPipeline);
  ASSERT_NE(checked.definition, nullptr) << Rendered(kPipeline);
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
  const CheckedPipeline checked = Check(kPipeline);
  ASSERT_NE(checked.definition, nullptr);
  const std::vector<uint8_t> bytes = EncodeDefinition(*checked.definition);
  const auto decoded = DecodeDefinition(bytes);
  ASSERT_TRUE(decoded) << decoded.error().ToString();
  EXPECT_EQ((*decoded)->id, checked.definition->id);
  EXPECT_EQ(EncodeDefinition(**decoded), bytes);
  for (size_t size = 0; size < bytes.size(); size += 97) EXPECT_FALSE(DecodeDefinition(std::span(bytes).first(size)));
}

TEST(PipelineFile, IdFollowsTextAndContracts) {
  const auto id = Check(kPipeline).definition->id;
  EXPECT_EQ(Check(kPipeline).definition->id, id);
  EXPECT_NE(Check(With("late: 1d", "late: 2d")).definition->id, id);
  const FileSource other = Files({{"contracts/flights.yaml", std::string(kContract) + "# a remark\n"}});
  EXPECT_NE(CheckPipeline("pipeline.yaml", kPipeline, other).definition->id, id);
}

TEST(PipelineFile, UnknownColumn) {
  EXPECT_EQ(Rendered(With("avg(delay)", "avg(delai)")),
            "error[HR0214] pipeline.yaml:17:23  view origin: no column `delai` in flights\n"
            "  17 |       mean_delay: avg(delai)\n"
            "                             ^^^^^  did you mean: delay?\n");
}

}  // namespace
}  // namespace headrace::pipeline
