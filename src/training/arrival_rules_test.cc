#include "training/arrival_rules.h"

#include <gtest/gtest.h>

#include "columns/batch_builder.h"
#include "training/testing/shop.h"

namespace headrace::training {
namespace {

using base::EpochId;
using base::Timestamp;
using pipeline::KnownAtRule;
using testing::kStartUs;

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kObserved = kStartUs + 500 * kSecond;

// A row in each of these epochs, which is of 100 s and was visible at kObserved.
tables::PositionedRows RowsOf(const columns::SchemaRef& schema,
                              const std::vector<uint64_t>& epochs) {
  tables::PositionedRows rows;
  columns::BatchBuilder builder(schema);
  for (const uint64_t epoch : epochs) {
    builder.column(0).AppendInt(kStartUs + 100 * kSecond);
    rows.positions.push_back(columns::Position::Of(EpochId{epoch}, 0));
    rows.known_at.push_back(kObserved);
  }
  rows.rows = builder.Finish();
  return rows;
}

class ArrivalRulesTest : public ::testing::Test {
 protected:
  testing::Shop shop_{1};
  const pipeline::StreamDefinition& orders_ = shop_.definition->streams[0];
  const KnownAtRule arrived_ = orders_.known_at;  // at + 3s
  const columns::SchemaRef at_ = std::make_shared<const columns::Schema>(
      std::vector<columns::Field>{orders_.schema()->field(orders_.timing.event_time_field)});
};

TEST_F(ArrivalRulesTest, AssumeNothingOfWhatIsObserved) {
  ArrivalRules rules;
  rules.Add(EpochId{1}, {kStartUs}, {});
  EXPECT_FALSE(rules.any_assumed());
  EXPECT_TRUE(rules.Fields(orders_).empty());
  auto rows = RowsOf(at_, {1, 2});
  EXPECT_EQ(rules.SetKnownAt(orders_, rows), Timestamp::Min());
  EXPECT_EQ(rows.known_at, std::vector<int64_t>(2, kObserved));
}

// From when the clock was the wall's, all rows of before were known: in fact, and as assumed.
TEST_F(ArrivalRulesTest, AssumeOfEarlierRowsWhatWasAssumedThen) {
  for (const auto& [began, before] : {std::pair(400, 400), std::pair(50, 103)}) {
    ArrivalRules rules;
    rules.Add(EpochId{2}, {kStartUs}, arrived_);
    rules.Add(EpochId{5}, {kStartUs + began * kSecond}, {});
    EXPECT_TRUE(rules.assumed(EpochId{1}) && rules.assumed(EpochId{4}));
    EXPECT_FALSE(rules.assumed(EpochId{5}));
    auto rows = RowsOf(at_, {1, 4, 5, 9});
    EXPECT_EQ(rules.SetKnownAt(orders_, rows).us, kStartUs + before * kSecond);
    const int64_t assumed = kStartUs + 103 * kSecond;
    EXPECT_EQ(rows.known_at, (std::vector<int64_t>{assumed, assumed, kObserved, kObserved}));
  }
}

TEST_F(ArrivalRulesTest, ThatAssumeHoldForGood) {
  ArrivalRules rules;
  rules.Add(EpochId{0}, Timestamp::Min(), arrived_);
  auto rows = RowsOf(at_, {7});
  EXPECT_EQ(rules.SetKnownAt(orders_, rows), Timestamp::Max());
  EXPECT_EQ(rows.known_at.front(), kStartUs + 103 * kSecond);
}

}  // namespace
}  // namespace headrace::training
