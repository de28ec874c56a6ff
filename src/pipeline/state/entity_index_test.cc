#include "pipeline/state/entity_index.h"

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>
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

// Random keys come and go.
TEST(EntityIndex, RemovedKeysAreNotFoundAndTheirNumbersAreGivenAnew) {
  base::MemoryBudget budget(1ULL << 30);
  {
    StateMemory memory(budget);
    EntityIndex index(memory);
    std::mt19937_64 random(1);
    std::map<std::string, uint32_t> known;
    std::map<uint32_t, std::string> keys;
    std::set<std::string> ever;
    uint64_t most = 0;
    for (Step step = 1; step <= 3'000; ++step) {
      for (uint64_t n = random() % 20; n > 0; --n) {
        const std::string key(random() % 300, static_cast<char>('a' + random() % 2));
        ever.insert(key);
        const uint32_t number = index.FindOrAdd(key, EntityIndex::HashOf(key), step);
        const auto [there, is_new] = known.try_emplace(key, number);
        ASSERT_EQ(there->second, number);
        ASSERT_EQ(keys.try_emplace(number, key).second, is_new) << "a number of two keys";
      }
      most = std::max<uint64_t>(most, known.size());
      index.RemoveUnused(random() % 200, step, [&](std::span<const uint32_t> numbers) {
        uint64_t unused = 0;
        for (size_t i = 0; i < numbers.size(); ++i) {
          if (numbers[i] % 7 == step % 7 || random() % 3 != 0) continue;
          unused |= uint64_t{1} << i;
          known.erase(keys.at(numbers[i]));
          keys.erase(numbers[i]);
        }
        return unused;
      });
      memory.Collect(step);
      for (const std::string& key : ever) {
        const auto there = known.find(key);
        const auto number = there == known.end() ? std::nullopt : std::optional(there->second);
        ASSERT_EQ(index.Find(key), number);
      }
    }
    EXPECT_LE(index.size(), most + 20) << "numbers are given anew";
    EXPECT_EQ(keys.size(), known.size());
  }
  EXPECT_EQ(budget.used_bytes(), 0U);
}

TEST(EntityIndex, ATableWhoseKeysWentGetsSmall) {
  base::MemoryBudget budget(1ULL << 30);
  StateMemory memory(budget);
  EntityIndex index(memory);
  const uint64_t empty = index.bytes();
  for (uint32_t i = 0; i < 50'000; ++i) {
    const std::string key = "key " + std::to_string(i);
    index.FindOrAdd(key, EntityIndex::HashOf(key), 1);
  }
  for (Step step = 2; step < 400; ++step) {
    index.RemoveUnused(1'000, step, [](std::span<const uint32_t>) { return ~uint64_t{0}; });
    memory.Collect(step);
  }
  constexpr uint64_t kFreeNumberBytes = 16;
  EXPECT_LE(index.bytes(), 4 * empty + 50'000 * kFreeNumberBytes);
  EXPECT_EQ(index.Find("key 7"), std::nullopt);
}

TEST(EntityIndex, TwoRestoredKeysOfOneNumberAreDamage) {
  base::MemoryBudget budget(1ULL << 30);
  StateMemory memory(budget);
  EntityIndex index(memory);
  ASSERT_TRUE(index.Restore("a", 1));
  ASSERT_TRUE(index.Restore("b", 3));
  EXPECT_TRUE(index.FinishRestore());
  EXPECT_EQ(index.Find("b"), 3U);
  for (const std::string key : {"c", "d", "e"}) {
    const uint32_t number = index.FindOrAdd(key, EntityIndex::HashOf(key), 1);
    EXPECT_EQ(number, key == "c" ? 0 : key == "d" ? 2 : 4);
  }
  EntityIndex damaged(memory);
  ASSERT_TRUE(damaged.Restore("a", 1));
  ASSERT_TRUE(damaged.Restore("b", 1));
  EXPECT_EQ(damaged.FinishRestore().error().code(), base::ErrorCode::kCorruption);
}

}  // namespace
}  // namespace headrace::pipeline
