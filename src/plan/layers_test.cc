#include "plan/layers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/pipeline_file.h"

namespace headrace::plan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kContract = R"(apiVersion: v3.1.0
kind: DataContract
id: payments
version: 1.0.0
status: active
schema:
  - name: payments
    logicalType: object
    properties:
      - {name: card, logicalType: string, required: true}
      - {name: amount, logicalType: number, required: true}
      - {name: paid_at, logicalType: timestamp, required: true}
)";

constexpr const char* kPipeline = R"(headrace: 1
pipeline: shop
streams:
  payments:
    contract: payments.yaml
    source: {http: push}
    time: {event: paid_at, late: 1h}
    rate: {mean: 100/s, cards: 1k}
  paid: {from: payments, where: amount > 0}
  large: {from: payments, where: amount > 1000}
views:
  card: {from: payments, by: card, over: [1h], features: {n: count(*)}}
consumers:
  dashboard: {reads: paid, pattern: "card = ?"}
tables:
  payments: {commit: 10s}
  paid: {commit: 1s, optimize: {every: 1h, z_order: [card]}}
  large: {commit: 1m}
)";

pipeline::CheckedPipeline Checked() {
  return pipeline::CheckPipeline(
      "shop.yaml", kPipeline,
      [](const std::string&) -> base::Result<std::string> { return std::string(kContract); });
}

TEST(Layers, AreTheTablesWithWhoReadsThem) {
  const auto checked = Checked();
  ASSERT_NE(checked.definition, nullptr)
      << checked.diagnostics.front().message << " " << checked.diagnostics.front().hint;
  const auto layers = LayersOf(*checked.definition);
  ASSERT_EQ(layers.size(), 3U);
  EXPECT_EQ(NameOf(layers[0].kind), "raw");
  EXPECT_THAT(layers[0].readers, ElementsAre("views (training, verification)"));
  EXPECT_EQ(NameOf(layers[1].kind), "serving");
  EXPECT_THAT(layers[1].readers, ElementsAre("consumer dashboard"));
  EXPECT_EQ(NameOf(layers[2].kind), "cleaned");
  EXPECT_THAT(layers[2].readers, IsEmpty());
}

TEST(Layers, OneThatNobodyReadsIsAdvisedAgainst) {
  const auto layers = LayersOf(*Checked().definition);
  EXPECT_FALSE(AdviceFor(layers[0]));
  EXPECT_FALSE(AdviceFor(layers[1]));
  ASSERT_TRUE(AdviceFor(layers[2]));
  EXPECT_THAT(*AdviceFor(layers[2]), HasSubstr("nobody is said to read table large"));
}

TEST(Layers, CostMoreTheMoreOftenTheyCommit) {
  const auto checked = Checked();
  EXPECT_EQ(checked.rates.at("payments"), 100);
  EXPECT_EQ(checked.rates.at("paid"), 100);
  const LayerPrice slow = PriceOf(*checked.definition, 0, 100);
  const LayerPrice fast = PriceOf(*checked.definition, 1, 100);
  EXPECT_EQ(slow.age_mean, std::chrono::seconds(5));
  EXPECT_EQ(slow.age_max, std::chrono::seconds(10));
  EXPECT_DOUBLE_EQ(slow.files_per_day, 8640);
  EXPECT_DOUBLE_EQ(fast.files_per_day, 86'400);
  EXPECT_DOUBLE_EQ(slow.row_bytes, fast.row_bytes);
  EXPECT_GT(fast.bytes_per_row, 3 * slow.bytes_per_row);
  EXPECT_GT(slow.write_amplification, 1);
  EXPECT_DOUBLE_EQ(slow.bytes_per_day, slow.bytes_per_row * 100 * 86'400);
}

TEST(Layers, ATableOfFewRowsHasNoMoreFilesThanRows) {
  const LayerPrice price = PriceOf(*Checked().definition, 1, 0.01);
  EXPECT_DOUBLE_EQ(price.files_per_day, 864);
  EXPECT_DOUBLE_EQ(PriceOf(*Checked().definition, 1, std::nullopt).files_per_day, 0);
}

}  // namespace
}  // namespace headrace::plan
