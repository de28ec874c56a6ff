#include "pipeline/definition_diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "pipeline/pipeline_file.h"

namespace headrace::pipeline {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::string_view kContract = R"(apiVersion: v3.1.0
kind: DataContract
id: c
version: 1.0.0
status: active
schema:
  - name: c
    logicalType: object
    properties:
      - {name: card, logicalType: string, required: true}
      - {name: shop, logicalType: string, required: true}
      - {name: amount, logicalType: number, required: true}
      - {name: paid_at, logicalType: timestamp, required: true}
)";

PipelineRef WithView(std::string_view view) {
  const auto checked = CheckPipeline(
      "p.yaml",
      fmt::format(R"(headrace: 1
pipeline: p
promise: {{budget: {{p99: 200ms}}}}
streams:
  payments: {{contract: c.yaml, source: {{http: push}}, time: {{event: paid_at, late: 1h}}}}
views:
  card: {}
)",
                  view),
      [](const std::string&) { return base::Result<std::string>(std::string(kContract)); });
  EXPECT_NE(checked.definition, nullptr);
  return checked.definition;
}

TEST(ViewDiff, NamesFeaturesThatAreAddedRemovedAndAltered) {
  const auto before = WithView(
      "{from: payments, by: card, over: [1h], features: {n: count(*), spend: sum(amount), last: "
      "last(shop)}}");
  const auto after = WithView(
      "{from: payments, by: card, over: [1h, 7d], features: {n: count(*), spend: avg(amount)}}");
  const ViewDiff diff = CompareView(*before, *after, "card");
  EXPECT_THAT(diff.added, ElementsAre("n_7d", "spend_7d"));
  EXPECT_THAT(diff.removed, ElementsAre("last_1h"));
  EXPECT_THAT(diff.altered, ElementsAre("spend_1h"));
  EXPECT_THAT(diff.keys, IsEmpty());
}

TEST(ViewDiff, NamesTheKeysOfTheView) {
  const auto before = WithView("{from: payments, by: card, over: [1h], features: {n: count(*)}}");
  const auto after = WithView(
      "{from: payments, by: [card, shop], where: amount > 0, ttl: 2h, over: [1h], features: {n: "
      "count(*)}}");
  const ViewDiff diff = CompareView(*before, *after, "card");
  EXPECT_THAT(diff.altered, IsEmpty());
  EXPECT_THAT(diff.keys, ElementsAre("by", "ttl", "where"));
  EXPECT_THAT(CompareView(*before, *before, "card").keys, IsEmpty());
}

TEST(ViewDiff, SeesAnotherConditionAndParameter) {
  const auto before = WithView(
      "{from: payments, by: card, over: [1h], features: {n: count(*) where amount > 1, q: "
      "\"quantile(amount, 0.5)\"}}");
  const auto after = WithView(
      "{from: payments, by: card, over: [1h], features: {n: count(*) where amount > 2, q: "
      "\"quantile(amount, 0.9)\"}}");
  EXPECT_THAT(CompareView(*before, *after, "card").altered, ElementsAre("n_1h", "q_1h"));
}

}  // namespace
}  // namespace headrace::pipeline
