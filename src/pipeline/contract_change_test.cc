#include "pipeline/contract_change.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/definition_diff.h"
#include "pipeline/pipeline_file.h"

namespace headrace::pipeline {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kPipeline = R"(headrace: 1
pipeline: p
promise: {{budget: {{p99: 200ms}}}}
consumers:
  board: {{reads: payments, pattern: "shop = ? and paid_at > now - 24h"}}
streams:
  payments: {{contract: c.yaml, source: {{http: push}}, time: {{event: paid_at, late: {}}}{}}}
  big: {{from: payments, where: amount > 5, select: [card, shop, paid_at]}}
views:
  card: {{from: payments, by: card, over: [1h], where: "shop <> 'amount'", features: {{n: count(*)}}}}
  shop: {{from: big, by: shop, over: [1h], features: {{n: count(*), last: last(card)}}}}
tables: {{payments: {{commit: 1s}}}}
)";
constexpr std::string_view kHead = R"(apiVersion: v3.1.0
kind: DataContract
id: c
version: 1.0.0
status: active
schema:
  - name: c
    logicalType: object
    properties:
)";
constexpr std::string_view kCard = "      - {name: card, logicalType: string, required: true}\n";
constexpr std::string_view kShop = "      - {name: shop, logicalType: string}\n";
constexpr std::string_view kAmount =
    "      - {name: amount, logicalType: number, required: true}\n";
constexpr std::string_view kPaidAt =
    "      - {name: paid_at, logicalType: timestamp, required: true}\n";

PipelineRef With(const std::vector<std::string_view>& fields, std::string_view more = "",
                 std::string_view late = "1h") {
  std::string contract(kHead);
  for (const std::string_view field : fields) contract += field;
  const auto checked =
      CheckPipeline("p.yaml", fmt::format(kPipeline, late, more),
                    [&](const std::string&) { return base::Result<std::string>(contract); });
  for (const contract::Diagnostic& diagnostic : checked.diagnostics)
    EXPECT_EQ(diagnostic.severity, contract::Severity::kWarning) << diagnostic.message;
  return checked.definition;
}

TEST(ContractChange, NamesWhoReadsAField) {
  const PipelineRef pipeline = With({kCard, kShop, kAmount, kPaidAt});
  EXPECT_THAT(ReadersOf(*pipeline, 0, "shop"),
              ElementsAre("derived stream big (8:59)", "view card (10:56)", "view shop (11:25)",
                          "table payments", "consumer board (5:38)"));
  // A text in quotes is no field.
  EXPECT_THAT(ReadersOf(*pipeline, 0, "amount"),
              ElementsAre("derived stream big (8:32)", "table payments"));
}

TEST(ContractChange, TellsWhatIsNewAndWhatMayBeMissing) {
  const PipelineRef before = With({kCard, kShop, kAmount, kPaidAt});
  EXPECT_THAT(ContractChanges(*before, *before), IsEmpty());
  const PipelineRef after = With({"      - {name: tip, logicalType: number}\n", kCard, kShop,
                                  kPaidAt, "      - {name: amount, logicalType: number}\n"});
  const auto changes = ContractChanges(*before, *after);
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].stream, "payments");
  EXPECT_THAT(changes[0].evolution.added, ElementsAre("tip"));
  EXPECT_THAT(changes[0].refused, IsEmpty());
  EXPECT_THAT(changes[0].notes,
              ElementsAre("`amount` may be missing from now on; it is read by derived stream big "
                          "(8:32), table payments"));
}

TEST(ContractChange, ARefusalNamesWhatWouldBreak) {
  const PipelineRef before =
      With({kCard, kShop, kAmount, kPaidAt, "      - {name: x, logicalType: string}\n"});
  const auto changes = ContractChanges(
      *before,
      *With({kCard, kAmount, kPaidAt, kShop, "      - {name: x, logicalType: integer}\n"}));
  ASSERT_EQ(changes.size(), 1U);
  ASSERT_EQ(changes[0].refused.size(), 1U);
  EXPECT_THAT(changes[0].refused[0],
              HasSubstr("stream payments: field `x` was string and is int64"));
  EXPECT_THAT(changes[0].refused[0], HasSubstr("it is read by table payments"));
}

TEST(ContractChange, ForwardCompatibilityIsThatOfBefore) {
  const std::vector<std::string_view> loose = {kCard, kShop, kPaidAt,
                                               "      - {name: amount, logicalType: number}\n"};
  for (const std::string_view word : {"forward", "full"}) {
    const std::string more = fmt::format(", compatibility: {}", word);
    const PipelineRef before = With({kCard, kShop, kAmount, kPaidAt}, more);
    EXPECT_EQ(NameOf(before->streams[0].compatibility), word);
    const auto changes = ContractChanges(*before, *With(loose));
    ASSERT_EQ(changes.size(), 1U);
    ASSERT_EQ(changes[0].refused.size(), 1U);
    EXPECT_THAT(changes[0].refused[0], HasSubstr("derived stream big (8:32)"));
    // One that is added is nothing to who knows the contract of before.
    const auto added = ContractChanges(
        *before,
        *With({kCard, kShop, kAmount, kPaidAt, "      - {name: x, logicalType: string}\n"}));
    EXPECT_THAT(added[0].refused, IsEmpty());
  }
  EXPECT_THAT(ContractChanges(*With({kCard, kShop, kAmount, kPaidAt}),
                              *With(loose, ", compatibility: full"))[0]
                  .refused,
              IsEmpty());
}

TEST(ContractChange, AWiderTypeIsForTheTableToAllow) {
  constexpr std::string_view kNarrow =
      "      - {name: amount, logicalType: integer, physicalType: int32, required: true}\n";
  const PipelineRef before = With({kCard, kShop, kNarrow, kPaidAt});
  const PipelineRef after = With({kCard, kShop, kAmount, kPaidAt});
  const auto changes = ContractChanges(*before, *after);
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_THAT(changes[0].refused, IsEmpty());
  EXPECT_THAT(changes[0].notes,
              ElementsAre("`amount` is float64 from now on, and was int32; it is read by derived "
                          "stream big (8:32), table payments"));
  const auto refused = TablesTooNarrow(*before, *after);
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_THAT(refused[0], HasSubstr("table payments: column `amount` would become float64"));
  EXPECT_THAT(TablesTooNarrow(*after, *after), IsEmpty());
  // Who knows the contract of before can't read rows of after.
  const PipelineRef forward = With({kCard, kShop, kNarrow, kPaidAt}, ", compatibility: forward");
  EXPECT_THAT(ContractChanges(*forward, *after)[0].refused[0],
              HasSubstr("field `amount` would become float64"));
}

// What is made of a field is made of it anew when it is wider, also where it only decides.
TEST(ContractChange, AWiderTypeAltersWhatReadsTheField) {
  constexpr std::string_view kNarrow =
      "      - {name: amount, logicalType: integer, physicalType: int32, required: true}\n";
  const DefinitionDiff diff =
      Compare(*With({kCard, kShop, kNarrow, kPaidAt}), *With({kCard, kShop, kAmount, kPaidAt}));
  EXPECT_THAT(diff.views, ElementsAre(NamedDifference{"card", ChangeKind::kUnchanged},
                                      NamedDifference{"shop", ChangeKind::kAltered}));
  EXPECT_THAT(diff.streams, ElementsAre(NamedDifference{"payments", ChangeKind::kAltered},
                                        NamedDifference{"big", ChangeKind::kAltered}));
}

// Which rows are taken is what stands beside the contract.
TEST(ContractChange, TheWayInIsComparedWithoutIt) {
  const auto way = [](const PipelineRef& pipeline) {
    return TextsOf(*pipeline).ways_in.at("payments");
  };
  const PipelineRef before = With({kCard, kShop, kAmount, kPaidAt});
  EXPECT_EQ(way(before), way(With({kCard, kShop, kPaidAt, kAmount}, ", compatibility: full")));
  EXPECT_NE(way(before), way(With({kCard, kShop, kAmount, kPaidAt}, "", "2h")));
}

}  // namespace
}  // namespace headrace::pipeline
