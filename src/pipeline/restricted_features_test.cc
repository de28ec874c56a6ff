#include "pipeline/restricted_features.h"

#include <gtest/gtest.h>

#include <string>

#include "pipeline/pipeline_file.h"

namespace headrace::pipeline {
namespace {

constexpr std::string_view kPipeline = R"yaml(headrace: 1
pipeline: visits
promise: {budget: {p99: 200ms}}
streams:
  visits:
    contract: visits.yaml
    source: {http: push}
    time: {event: at, late: 1h}
  cleaned:
    from: visits
    derive: {domain: "substr(mail, 2)", twice: amount * 2}
  known:
    from: visits
    where: mail = 'x'
views:
  user:
    from: visits
    by: mail
    over: [1h]
    features: {n: count(*), spend: sum(amount), mails: approx_distinct(mail), rich: "count(*) where mail = 'x'"}
  page: {from: visits, by: page, over: [1h], where: mail = 'x', features: {n: count(*)}}
  clean: {from: cleaned, by: page, over: [1h], features: {domain: last(domain), twice: sum(twice), n: count(*)}}
  some: {from: known, by: page, over: [1h], features: {spend: sum(amount), n: count(*)}}
on_request: {a: user.spend_1h * 2, b: user.mails_1h * 2}
services: {all: {features: [user.*, a, b]}}
)yaml";

constexpr std::string_view kContract = R"yaml(apiVersion: v3.1.0
kind: DataContract
id: visits
version: 1.0.0
status: active
schema:
  - name: visits
    logicalType: object
    properties:
      - {name: mail, logicalType: string, required: true, classification: restricted}
      - {name: page, logicalType: string, required: true}
      - {name: at, logicalType: timestamp, required: true}
      - {name: amount, logicalType: number}
)yaml";

TEST(RestrictedFeatures, AreThoseThatReadARestrictedColumn) {
  const auto checked = CheckPipeline(
      "pipeline.yaml", std::string(kPipeline),
      [](const std::string&) -> base::Result<std::string> { return std::string(kContract); });
  std::string wrong;
  for (const contract::Diagnostic& diagnostic : checked.diagnostics) wrong += diagnostic.message;
  ASSERT_NE(checked.definition, nullptr) << wrong;
  const PipelineDefinition& definition = *checked.definition;
  const RestrictedFeatures found = FindRestricted(definition);
  std::string restricted;
  for (size_t view = 0; view < definition.views.size(); ++view)
    for (size_t i = 0; i < definition.views[view].outputs.size(); ++i)
      if (found.outputs[view][i])
        restricted +=
            definition.views[view].name + "." + definition.views[view].outputs[i].name + " ";
  for (size_t i = 0; i < definition.on_request.size(); ++i)
    if (found.on_request[i]) restricted += definition.on_request[i].name + " ";
  EXPECT_EQ(restricted,
            "user.mails_1h user.rich_1h page.n_1h clean.domain_1h some.spend_1h some.n_1h b ");
}

}  // namespace
}  // namespace headrace::pipeline
