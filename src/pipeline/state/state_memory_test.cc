#include "pipeline/state/state_memory.h"

#include <vector>

#include <gtest/gtest.h>

namespace headrace::pipeline {
namespace {

TEST(StateMemory, FreesWhatWasRetiredOnceNoPinCanSeeIt) {
  base::MemoryBudget budget(1ULL << 30);
  StateMemory memory(budget);
  constexpr size_t kLarge = 1 << 20;
  void* old = memory.Allocate(kLarge);
  void* older = memory.Allocate(100);
  memory.Retire(older, 100, 4);
  memory.Retire(old, kLarge, 5);
  memory.Collect(3);
  EXPECT_EQ(memory.bytes_in_use(), kLarge + 100);
  memory.Collect(4);
  EXPECT_EQ(memory.bytes_in_use(), kLarge);
  memory.Collect(5);
  EXPECT_EQ(memory.bytes_in_use(), 0U);
}

TEST(StateMemory, TheBudgetFollowsAfterEachSettlementAndGetsAllBack) {
  base::MemoryBudget budget(1ULL << 30);
  {
    StateMemory memory(budget);
    void* large = memory.Allocate(1 << 20);
    EXPECT_EQ(budget.used_bytes(), 0U);
    memory.SettleCharges();
    EXPECT_EQ(budget.used_bytes(base::MemoryAccount::kState), 1U << 20);
    void* small = memory.Allocate(24);
    memory.Free(small, 24);
    memory.Free(large, 1 << 20);
    memory.SettleCharges();
    EXPECT_LT(budget.used_bytes(), 1U << 20);
  }
  EXPECT_EQ(budget.used_bytes(), 0U);
}

TEST(StateMemory, SmallSizesAreReused) {
  base::MemoryBudget budget(1ULL << 30);
  StateMemory memory(budget);
  for (int i = 0; i < 100'000; ++i) memory.Free(memory.Allocate(1000), 1000);
  memory.SettleCharges();
  EXPECT_LE(budget.used_bytes(), 1U << 20);
}

TEST(StateMemory, TheBudgetKnowsWhatIsFreeInIt) {
  base::MemoryBudget budget(1ULL << 30);
  {
    StateMemory memory(budget);
    std::vector<void*> blocks;
    for (int i = 0; i < 10'000; ++i) blocks.push_back(memory.Allocate(100));
    memory.SettleCharges();
    const uint64_t before = budget.spare_bytes();
    const uint64_t charged = budget.used_bytes();
    for (void* block : blocks) memory.Free(block, 100);
    memory.SettleCharges();
#if !defined(__SANITIZE_ADDRESS__)
    EXPECT_EQ(budget.used_bytes(), charged);
    EXPECT_EQ(budget.spare_bytes(), before + 10'000 * 112);
#endif
  }
  EXPECT_EQ(budget.spare_bytes(), 0U);
}

}  // namespace
}  // namespace headrace::pipeline
