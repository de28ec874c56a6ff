#include "base/memory_budget.h"

#include <gtest/gtest.h>

namespace headrace::base {
namespace {

TEST(MemoryBudgetTest, RowsLeaveASixteenthToAnswers) {
  MemoryBudget budget(1600);
  const auto rows = budget.TryCharge(MemoryAccount::kIngest, 1500);
  ASSERT_TRUE(rows);
  EXPECT_FALSE(budget.TryCharge(MemoryAccount::kIngest, 1));
  EXPECT_TRUE(budget.TryCharge(MemoryAccount::kReplies, 100));
  EXPECT_FALSE(budget.TryCharge(MemoryAccount::kReplies, 101));
  EXPECT_EQ(budget.used_bytes(), 1500U) << "what was refused, or has died, is not charged";
}

TEST(MemoryBudgetTest, WhatIsUnchargedIsTakenFromRowsOnly) {
  MemoryBudget budget(1600);
  budget.SetUncharged(1000);
  EXPECT_TRUE(budget.TryCharge(MemoryAccount::kIngest, 500));
  const auto refused = budget.TryCharge(MemoryAccount::kIngest, 501);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("holds 1000 beside"), std::string::npos)
      << refused.error().message();
  EXPECT_TRUE(budget.TryCharge(MemoryAccount::kConnections, 1600));
  budget.SetUncharged(5000);
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
