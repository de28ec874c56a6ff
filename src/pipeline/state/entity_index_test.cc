#include "pipeline/state/entity_index.h"

#include <string>
#include <vector>

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
  constexpr uint32_t kKeys = 30;  // a larger table would have their own hashes
  for (uint32_t i = 0; i < kKeys; ++i) ASSERT_EQ(index.FindOrAdd(std::string(i, 'x'), hash, 1), i);
  for (uint32_t i = 0; i < kKeys; ++i) ASSERT_EQ(index.FindHashed(std::string(i, 'x'), hash), i);
  EXPECT_EQ(index.FindHashed("y", hash), std::nullopt);
}

// Lengths on both sides of where the length takes more room, each behind a neighbour of another.
TEST(EntityIndex, TakesKeysOfAnyLength) {
  base::MemoryBudget budget(1ULL << 30);
  StateMemory memory(budget);
  EntityIndex index(memory);
  std::vector<std::string> keys;
  for (size_t length = 0; length < 600; ++length) keys.emplace_back(length, 'k');
  keys.emplace_back(200'000, 'k');
  for (uint32_t i = 0; i < keys.size(); ++i)
    ASSERT_EQ(index.FindOrAdd(keys[i], EntityIndex::HashOf(keys[i]), 1), i);
  for (uint32_t i = 0; i < keys.size(); ++i) ASSERT_EQ(index.Find(keys[i]), i);
  EntityIndex::Walk walk;
  size_t visited = 0;
  while (index.VisitKeys(walk, 100, [&](uint32_t number, std::string_view key) {
    EXPECT_EQ(key, keys[number]);
    ++visited;
  })) {
  }
  EXPECT_EQ(visited, keys.size());
}

}  // namespace
}  // namespace headrace::pipeline
