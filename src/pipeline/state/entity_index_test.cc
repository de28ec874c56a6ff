#include "pipeline/state/entity_index.h"

#include <string>

#include <gtest/gtest.h>

namespace headrace::pipeline {
namespace {

TEST(EntityIndex, GivesDenseNumbersInOrderOfAppearanceAndKeepsThemThroughGrowth) {
  base::MemoryBudget budget(1ULL << 30);
  {
    StateMemory memory(budget);
    EntityIndex index(memory);
    constexpr uint32_t kKeys = 20'000;
    for (uint32_t i = 0; i < kKeys; ++i) {
      const std::string key = "key " + std::to_string(i);
      ASSERT_EQ(index.Find(key), std::nullopt);
      ASSERT_EQ(index.FindOrAdd(key, EntityIndex::HashOf(key), 1), i);
      ASSERT_EQ(index.FindOrAdd(key, EntityIndex::HashOf(key), 1), i);
    }
    for (uint32_t i = 0; i < kKeys; ++i) ASSERT_EQ(index.Find("key " + std::to_string(i)), i);
    EXPECT_EQ(index.size(), kKeys);
    memory.SettleCharges();
    EXPECT_GE(budget.used_bytes(base::MemoryAccount::kState), index.bytes());
  }
  EXPECT_EQ(budget.used_bytes(), 0U);
}

TEST(EntityIndex, TellsKeysApartThatShareAHash) {
  base::MemoryBudget budget(1ULL << 30);
  StateMemory memory(budget);
  EntityIndex index(memory);
  const uint64_t hash = 42;
  for (uint32_t i = 0; i < 200; ++i) ASSERT_EQ(index.FindOrAdd(std::string(i, 'x'), hash, 1), i);
  for (uint32_t i = 0; i < 200; ++i) ASSERT_EQ(index.FindHashed(std::string(i, 'x'), hash), i);
  EXPECT_EQ(index.FindHashed("y", hash), std::nullopt);
}

TEST(EntityIndex, TakesKeysOfAnyLength) {
  base::MemoryBudget budget(1ULL << 30);
  StateMemory memory(budget);
  EntityIndex index(memory);
  const std::string longer(200'000, 'k');
  EXPECT_EQ(index.FindOrAdd("", EntityIndex::HashOf(""), 1), 0U);
  EXPECT_EQ(index.FindOrAdd(longer, EntityIndex::HashOf(longer), 1), 1U);
  EXPECT_EQ(index.Find(longer), 1U);
  EXPECT_EQ(index.Find(""), 0U);
}

}  // namespace
}  // namespace headrace::pipeline
