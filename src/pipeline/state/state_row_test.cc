#include "pipeline/state/state_row.h"

#include <array>
#include <thread>

#include <gtest/gtest.h>

#include "columns/column.h"
#include "pipeline/state/row_store.h"

namespace headrace::pipeline {
namespace {

// Never looked into: addresses that say which step wrote them.
const RowChunk* OpenAt(Step step) { return reinterpret_cast<const RowChunk*>(step * 64); }
const KeyPast* PastAt(Step step) { return reinterpret_cast<const KeyPast*>(step * 64); }
Step StepIn(const RowVersion& version) { return version.open / 64; }

class StateRows : public testing::Test {
 protected:
  ~StateRows() override { memory_.Collect(~Step{0}); }
  void Publish(Step step, uint32_t rows) {
    row_.Publish(OpenAt(step), rows, PastAt(step), step, undo_);
  }

  base::MemoryBudget budget_{1ULL << 30};
  StateMemory memory_{budget_};
  UndoLog undo_{memory_};
  StateRow row_;
};

TEST_F(StateRows, GiveEachReaderTheVersionOfItsStep) {
  EXPECT_FALSE(row_.VersionAt(5));
  Publish(3, 1);
  EXPECT_FALSE(row_.VersionAt(2));
  EXPECT_EQ(StepIn(*row_.VersionAt(3)), 3U);
  EXPECT_EQ(StepIn(*row_.VersionAt(6)), 3U);
  Publish(7, 2);
  EXPECT_EQ(StepIn(*row_.VersionAt(6)), 3U);
  EXPECT_EQ(StateRow::OpenCountOf(*row_.VersionAt(6)), 1U);
  EXPECT_EQ(StateRow::PastOf(*row_.VersionAt(6)), PastAt(3));
  EXPECT_EQ(StateRow::OpenCountOf(*row_.VersionAt(7)), 2U);
  // Several times in a step: who reads the step before still has the version of before.
  Publish(7, 64);
  EXPECT_EQ(StateRow::OpenCountOf(*row_.VersionAt(7)), 64U);
  EXPECT_EQ(StateRow::OpenCountOf(*row_.VersionAt(6)), 1U);
  // Two steps behind: only a revoked reader is.
  Publish(8, 5);
  EXPECT_EQ(StepIn(*row_.VersionAt(7)), 7U);
  EXPECT_FALSE(row_.VersionAt(6));
}

TEST_F(StateRows, KeepVersionsUntilNobodyIsBeforeTheStep) {
  constexpr Step kSteps = 10'000;
  for (Step step = 1; step <= kSteps; ++step) {
    Publish(step, 1);
    if (step > 1) {
      ASSERT_EQ(StepIn(*row_.VersionAt(step - 1)), step - 1);
    }
    memory_.Collect(step);
  }
  // A block at a time, however many steps there were.
  EXPECT_LE(memory_.bytes_in_use(), 4U << 10);
}

// Beside the applier, as under a pin: the step that is visible, or the one before it.
TEST_F(StateRows, AreReadWholeWhileTheyAreWritten) {
  constexpr Step kSteps = 200'000;
  std::atomic<Step> visible{1};
  Publish(1, 1);
  uint64_t read = 0;
  std::thread reader([&] {
    for (Step step = 0; step < kSteps;) {
      step = visible.load();
      const auto version = row_.VersionAt(step);
      if (visible.load() != step) continue;  // may have been revoked
      ASSERT_TRUE(version.has_value());
      ASSERT_EQ(StepIn(*version), step);
      ASSERT_EQ(version->past, version->open);
      ++read;
    }
  });
  for (Step step = 2; step <= kSteps; ++step) {
    Publish(step, static_cast<uint32_t>(step % 64));
    visible.store(step);
  }
  reader.join();
  EXPECT_GT(read, 0U);
}

// What a key with a row or two takes in a view (docs/internals/state.md).
TEST(KeysWithFewRows, TakeAStateRowAndASmallChunk) {
  const std::vector<AggregateSpec> specs = {
      {.name = "", .kind = AggregateKind::kSum, .argument = 0, .where = {}}};
  const AggregatePlan plan{specs, std::array{columns::Type::kFloat64}};
  base::MemoryBudget budget(1ULL << 30);
  StateMemory memory(budget);
  {
    RowStore store(plan, {.horizon = std::chrono::hours(24)}, memory);
    constexpr uint32_t kKeys = 100 * RowStore::kPageRows;
    const std::vector<int64_t> times = {1, 2};
    std::vector<columns::Column> arguments;
    arguments.emplace_back(columns::Type::kFloat64, 2,
                           columns::Buffer::OwnValues(std::vector<double>{1, 2}));
    const std::array<uint32_t, 2> rows = {0, 1};
    const BatchRows batch{.times = times, .epoch = {1}, .arguments = arguments};
    const auto append = [&](size_t row, Step step) {
      for (uint32_t key = 0; key < kKeys; ++key)
        store.Append(key, batch, std::span(rows).subspan(row, 1), {2}, step);
      memory.Collect(step);
    };
    append(0, 1);
    EXPECT_LE(store.bytes(), kKeys * (32 + 16 + 24 + 1));
    append(1, 2);
    EXPECT_LE(store.bytes(), kKeys * (32 + 16 + 2 * 24 + 1) + (4U << 10));
    // The versions of the step before are gone, and the chunks of one row can be used again.
    EXPECT_EQ(memory.bytes_in_use(), store.bytes());
  }
  memory.Collect(~Step{0});
}

}  // namespace
}  // namespace headrace::pipeline
