// Trees under appends, late rows and eviction, with readers of earlier steps: what an image could
// find when it was taken, it finds for as long as its step is held.

#include "pipeline/state/row_tree.h"

#include <deque>
#include <random>

#include <gtest/gtest.h>

#include "columns/position.h"
#include "pipeline/state/row_store.h"

namespace headrace::pipeline {
namespace {

struct Row {
  int64_t time;
  uint64_t position;
  int64_t x;
  bool operator==(const Row&) const = default;
};

AggregateSpec Spec(AggregateKind kind, std::optional<size_t> argument) {
  return {.name = "", .kind = kind, .argument = argument, .where = {}};
}

AggregatePlan Plan() {
  const std::vector<AggregateSpec> specs = {
      Spec(AggregateKind::kCount, {}), Spec(AggregateKind::kSum, 0), Spec(AggregateKind::kMin, 0)};
  return {specs, std::array{columns::Type::kInt64}};
}

// One key of a store, and all its rows in a vector.
class Key {
 public:
  static constexpr int64_t kHorizon = 100'000;

  explicit Key(uint64_t seed)
      : random_(seed), store_(plan_, {.horizon = base::Duration(kHorizon)}, memory_) {}
  ~Key() { memory_.Collect(step_); }

  // `late` of `rows` are anywhere among those kept.
  void Apply(size_t rows, size_t late, int64_t pace) {
    ++step_;
    std::vector<int64_t> times;
    std::vector<int64_t> xs;
    std::vector<uint32_t> order;
    for (size_t i = 0; i < rows; ++i) {
      now_ += static_cast<int64_t>(random_() % static_cast<uint64_t>(pace + 1));
      times.push_back(i < late ? now_ - static_cast<int64_t>(random_() % kHorizon) : now_);
      xs.push_back(static_cast<int64_t>(random_() % 1000) - 500);
      order.push_back(static_cast<uint32_t>(i));
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](uint32_t a, uint32_t b) { return times[a] < times[b]; });
    for (size_t i = 0; i < rows; ++i)
      rows_.push_back({times[i], columns::Position::Of({step_}, i).packed, xs[i]});
    std::stable_sort(rows_.begin(), rows_.end(),
                     [](const Row& a, const Row& b) { return a.time < b.time; });
    std::vector<columns::Column> arguments;
    arguments.emplace_back(columns::Type::kInt64, rows, columns::Buffer::OwnValues(std::move(xs)));
    store_.Append(0, {.times = times, .epoch = {step_}, .arguments = arguments}, order, {now_},
                  step_);
    std::erase_if(rows_, [&](const Row& row) { return row.time <= now_ - kHorizon; });
  }

  // What is wrong with what an image finds, of rows that nobody may have forgotten.
  std::string Check(const RowImage& image, const std::vector<Row>& expected,
                    int64_t forgotten) const {
    std::vector<Row> found;
    std::vector<ArgumentBlock> arguments(1);
    std::vector<SlotPartial> partials(plan_.slots().size());
    const auto add = [&](const RowChunk& chunk, uint32_t count) {
      const RowBlock block = chunk.Block(store_.layout(), arguments.data());
      for (uint32_t i = 0; i < count; ++i)
        found.push_back({block.times[i], block.positions[i],
                         static_cast<int64_t>(block.arguments[0].cells[i])});
    };
    for (auto at = LeafCursor::First(image.tree); !at.at_end(); at.Next()) {
      const size_t first = found.size();
      add(*at.chunk(), at.chunk()->count());
      if (found.back().time != at.last_time()) return "a node has a wrong time";
      at.Partials(plan_, partials);
      int64_t sum = 0;
      int64_t least = found.back().x;
      for (size_t i = first; i < found.size(); ++i) {
        sum += found[i].x;
        least = std::min(least, found[i].x);
      }
      if (partials[0].count != found.size() - first || partials[1].sum != sum ||
          partials[2].least != least)
        return "a chunk has wrong partials";
    }
    if (!image.empty()) add(*image.open, image.open_count);
    std::erase_if(found, [&](const Row& row) { return row.time <= forgotten; });
    return found == expected ? "" : "rows are missing, too many, or in another order";
  }

  std::mt19937_64 random_;
  base::MemoryBudget budget_{1ULL << 40};
  StateMemory memory_{budget_};
  AggregatePlan plan_ = Plan();
  RowStore store_;
  std::vector<Row> rows_;
  Step step_ = 0;
  int64_t now_ = 1'000'000;
};

struct Held {
  Step step;
  int64_t forgotten;
  RowImage image;
  std::vector<Row> rows;
};

// Keeps some images for some steps, and looks at them after each.
void HoldAndCheck(uint64_t seed, size_t rows, size_t late, int64_t pace, int steps) {
  Key key(seed);
  std::deque<Held> held;
  for (int i = 0; i < steps; ++i) {
    key.Apply(1 + key.random_() % rows, late == 0 ? 0 : key.random_() % late, pace);
    const auto image = key.store_.Find(0, key.step_);
    ASSERT_TRUE(image.has_value());
    if (key.random_() % 3 == 0)
      held.push_back({key.step_, key.now_ - Key::kHorizon, *image, key.rows_});
    if (held.size() > 1 + key.random_() % 8) held.pop_front();
    ASSERT_EQ(key.Check(*image, key.rows_, key.now_ - Key::kHorizon), "")
        << "seed " << seed << " step " << key.step_;
    for (const Held& each : held) {
      ASSERT_EQ(key.Check(each.image, each.rows, each.forgotten), "")
          << "seed " << seed << " step " << key.step_ << " held " << each.step;
    }
    key.memory_.Collect(held.empty() ? key.step_ : held.front().step);
  }
}

TEST(RowTree, HeldImagesFindTheirRowsWhileMoreAreAppendedAndDropped) {
  for (uint64_t seed = 1; seed <= 6; ++seed)
    HoldAndCheck(seed, 300, 0, static_cast<int64_t>(seed * 5), 150);
}

TEST(RowTree, HeldImagesFindTheirRowsUnderLateRows) {
  for (uint64_t seed = 11; seed <= 20; ++seed)
    HoldAndCheck(seed, 200, seed % 2 == 0 ? 5 : 200, static_cast<int64_t>(seed % 7 * 4), 120);
}

TEST(RowTree, GivesItsNodesBack) {
  Key key(3);
  for (int i = 0; i < 60; ++i) key.Apply(200, 50, 3);
  EXPECT_GT(key.store_.Find(0, key.step_)->tree.height, 1U);
  key.now_ += 2 * Key::kHorizon;
  key.Apply(1, 0, 1);
  const RowImage image = *key.store_.Find(0, key.step_);
  EXPECT_TRUE(image.tree.empty());
  EXPECT_LE(image.open_count, kBlockRows);  // a chunk is dropped as a whole
  key.memory_.Collect(key.step_);
  EXPECT_EQ(key.memory_.bytes_in_use(), key.store_.bytes());
}

TEST(RowTree, ALateRowCostsAPathAndNotTheKey) {
  Key key(4);
  for (int i = 0; i < 100; ++i) key.Apply(1'000, 0, 0);
  key.memory_.Collect(key.step_);
  const uint64_t before = key.memory_.bytes_in_use();
  key.Apply(1, 1, 0);
  // Nothing is collected: old and new lie side by side.
  EXPECT_LT(key.memory_.bytes_in_use() - before, 20'000U);
}

}  // namespace
}  // namespace headrace::pipeline
