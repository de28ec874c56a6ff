#include "base/memory_budget.h"

#include <gtest/gtest.h>

namespace headrace::base {
namespace {

TEST(MemoryBudgetTest, RowsLeaveMemoryToTablesAndAllLeaveSomeToAnswers) {
  MemoryBudget budget(1600);
  const auto rows = budget.TryCharge(MemoryAccount::kIngest, 1400);
  ASSERT_TRUE(rows);
  EXPECT_FALSE(budget.TryCharge(MemoryAccount::kIngest, 1));
  EXPECT_FALSE(budget.TryCharge(MemoryAccount::kArrow, 1));
  EXPECT_TRUE(budget.TryCharge(MemoryAccount::kSnapshots, 100));
  const auto table = budget.TryCharge(MemoryAccount::kTables, 100);
  ASSERT_TRUE(table);
  EXPECT_FALSE(budget.TryCharge(MemoryAccount::kTables, 1));
  EXPECT_TRUE(budget.TryCharge(MemoryAccount::kReplies, 100));
  EXPECT_FALSE(budget.TryCharge(MemoryAccount::kReplies, 101));
  EXPECT_EQ(budget.used_bytes(), 1500U) << "what was refused, or has died, is not charged";
}

TEST(MemoryBudgetTest, ALargeOneKeepsAThirtySecondForTables) {
  constexpr uint64_t kLimit = 1ULL << 30;
  MemoryBudget budget(kLimit);
  constexpr uint64_t kForRows = kLimit - kLimit / 16 - kLimit / 32;
  EXPECT_TRUE(budget.TryCharge(MemoryAccount::kIngest, kForRows));
  EXPECT_FALSE(budget.TryCharge(MemoryAccount::kIngest, kForRows + 1));
}

TEST(MemoryBudgetTest, WhatIsUnchargedIsTakenFromRowsOnly) {
  MemoryBudget budget(1600);
  budget.SetUncharged(1000);
  EXPECT_TRUE(budget.TryCharge(MemoryAccount::kIngest, 400));
  const auto refused = budget.TryCharge(MemoryAccount::kIngest, 401);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("holds 1000 beside"), std::string::npos)
      << refused.error().message();
  EXPECT_TRUE(budget.TryCharge(MemoryAccount::kConnections, 1600));
  budget.SetUncharged(5000);
  EXPECT_FALSE(budget.TryCharge(MemoryAccount::kIngest, 1));
}

TEST(MemoryBudgetTest, WhatIsSpareIsFreeForRowsAndTables) {
  MemoryBudget budget(1600);
  budget.Force(MemoryAccount::kState, 1450);
  EXPECT_FALSE(budget.TryCharge(MemoryAccount::kIngest, 1));
  budget.AddSpare(100);
  EXPECT_EQ(budget.RoomFor(MemoryAccount::kIngest), 50U);
  EXPECT_TRUE(budget.TryCharge(MemoryAccount::kIngest, 50));
  EXPECT_FALSE(budget.TryCharge(MemoryAccount::kIngest, 51));
  budget.AddSpare(1000);
  EXPECT_TRUE(budget.TryCharge(MemoryAccount::kIngest, 150 - 200 / 3));
  EXPECT_FALSE(budget.TryCharge(MemoryAccount::kIngest, 151 - 200 / 3)) << "answers keep some";
  EXPECT_TRUE(budget.TryCharge(MemoryAccount::kTables, 150 - 100 / 3));
  EXPECT_TRUE(budget.TryCharge(MemoryAccount::kReplies, 150));
  EXPECT_FALSE(budget.TryCharge(MemoryAccount::kReplies, 151)) << "what is charged is there";
  budget.AddSpare(-1100);
  EXPECT_FALSE(budget.TryCharge(MemoryAccount::kIngest, 1));
}

TEST(MemoryBudgetTest, ArrowHasHalf) {
  MemoryBudget budget(1600);
  const auto messages = budget.TryCharge(MemoryAccount::kArrow, 800);
  ASSERT_TRUE(messages);
  EXPECT_FALSE(budget.TryCharge(MemoryAccount::kArrow, 1));
  EXPECT_TRUE(budget.TryCharge(MemoryAccount::kIngest, 1));
}

}  // namespace
}  // namespace headrace::base
