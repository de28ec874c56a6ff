// A run of tiles, held to the rows that are in it: whatever it was made of, any stretch of it adds
// up to what its rows do, and readers of older runs find them as they were.

#include "pipeline/state/tile_run.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>

#include "pipeline/aggregates/random_rows.h"

namespace headrace::pipeline {
namespace {

constexpr base::Duration kPrecision{7};

std::vector<AggregateSpec> TiledSpecs() {
  std::vector<AggregateSpec> specs = EverySpec();
  std::erase_if(specs,
                [](const AggregateSpec& spec) { return RowOf(spec.kind).tiles == Tiles::kNone; });
  return specs;
}

class TileRunTest : public testing::Test {
 protected:
  using RowsByTile = std::map<int64_t, std::vector<RandomRow>>;

  void Add(const std::vector<RandomRow>& rows, Accumulators& into) {
    for (const RandomRow& row : rows) into.Add(blocks_.emplace_back(std::vector{row}).block(), 1);
  }
  std::vector<TileDraft> Drafts(const RowsByTile& added, const TileRun* run) {
    std::vector<TileDraft> drafts;
    for (const auto& [start, rows] : added) {
      Accumulators tile(plan_);
      writer_.Merge(run, start, tile);
      Add(rows, tile);
      drafts.push_back(writer_.DraftOf(start, tile));
    }
    return drafts;
  }
  std::vector<std::string> Results(Accumulators& rows) const {
    std::vector<std::string> results;
    for (size_t i = 0; i < plan_.specs().size(); ++i) {
      const AggregateResult result = rows.Result(i, kRandomRowsWindow);
      results.push_back(result.value.ToJson() +
                        (result.range == AggregateResult::Range::kInside ? "" : " outside"));
    }
    return results;
  }
  // Windows that begin at three random edges, one behind the other.
  void Check(const TileRun& run, const RowsByTile& rows, std::mt19937_64& random) {
    std::vector<int64_t> edges;
    for (int i = 0; i < 3; ++i) edges.push_back(static_cast<int64_t>(random() % 1'200) - 100);
    std::ranges::sort(edges, std::greater());
    TilesBack tiles(&layout_, &run);
    Accumulators from_tiles(plan_);
    from_tiles.SetAsOf(kRandomRowsAsOf);
    for (const int64_t edge : edges) {
      tiles.AddAfter(edge, from_tiles);
      Accumulators from_rows(plan_);
      from_rows.SetAsOf(kRandomRowsAsOf);
      for (const auto& [start, of_tile] : rows)
        if (start > edge) Add(of_tile, from_rows);
      ASSERT_EQ(Results(from_tiles), Results(from_rows)) << "after " << edge;
    }
  }

  const AggregatePlan plan_{TiledSpecs(), kRandomRowTypes};
  const TileLayout layout_{plan_, kPrecision};
  base::MemoryBudget budget_{1ULL << 40};
  StateMemory memory_{budget_};
  TileWriter writer_{layout_, memory_};
  std::deque<BlockOfRows> blocks_;
};

TEST_F(TileRunTest, AddsUpToItsRowsWhateverItWasMadeOf) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    RowsByTile all;
    const TileRun* run = nullptr;
    for (int round = 0; round < 6; ++round) {
      RowsByTile added;
      for (RandomRow row : RandomRows(seed * 100 + static_cast<uint64_t>(round), 60)) {
        // Behind the tiles that are there; every third round anywhere among them.
        row.time = static_cast<int64_t>(random() % 150) + (round % 3 == 2 ? 0 : round * 150);
        row.position += static_cast<uint64_t>(round) * 1'000;
        row.valid[4] = row.valid[4] && random() % 20 == 0;  // few values that no record holds
        added[layout_.StartOf(row.time)].push_back(row);
      }
      const RowsByTile before = all;
      const std::vector<TileDraft> drafts = Drafts(added, run);
      for (const auto& [start, rows] : added)
        all[start].insert(all[start].end(), rows.begin(), rows.end());
      const TileRun* old = run;
      run = writer_.Put(run, drafts, 10'000, static_cast<Step>(round) + 1);
      Check(*run, all, random);
      if (old != nullptr) Check(*old, before, random);
      memory_.Collect(static_cast<Step>(round) + 1);
    }
    const int64_t time = 200 + static_cast<int64_t>(random() % 200);
    run = writer_.DropUpTo(run, time, 10);
    std::erase_if(all, [&](const auto& tile) { return layout_.EndOf(tile.first) <= time; });
    Check(*run, all, random);

    std::vector<uint8_t> bytes;
    writer_.Encode(*run, bytes);
    columns::ByteReader in(bytes);
    const auto decoded = writer_.Decode(in, 10);
    ASSERT_TRUE(decoded.has_value());
    Check(**decoded, all, random);
    EXPECT_EQ((*decoded)->until, run->until);

    writer_.Clear(*decoded, 10);
    writer_.Clear(writer_.DropUpTo(run, 10'000, 10), 10);
    memory_.Collect(10);
    EXPECT_EQ(writer_.TakeBytesChange(), 0);
    EXPECT_EQ(memory_.bytes_in_use(), 0U);
  }
}

TEST_F(TileRunTest, AnyBytesAreRefusedOrTaken) {
  std::mt19937_64 random(3);
  RowsByTile added;
  for (RandomRow row : RandomRows(3, 60)) added[layout_.StartOf(row.time)].push_back(row);
  const TileRun* run = writer_.Put(nullptr, Drafts(added, nullptr), 10'000, 1);
  std::vector<uint8_t> bytes;
  writer_.Encode(*run, bytes);
  size_t refused = 0;
  for (int i = 0; i < 2'000; ++i) {
    std::vector<uint8_t> broken = bytes;
    if (i % 2 == 0) {
      broken.resize(random() % broken.size());
    } else {
      broken[random() % broken.size()] ^= static_cast<uint8_t>(1 + random() % 255);
    }
    columns::ByteReader in(broken);
    const auto decoded = writer_.Decode(in, 1);
    refused += decoded.has_value() ? 0 : 1;
    if (!decoded) continue;
    Accumulators all(plan_);
    all.SetAsOf(kRandomRowsAsOf);
    TilesBack(&layout_, *decoded).AddAfter(-1'000'000, all);
    writer_.Clear(*decoded, 1);
  }
  EXPECT_GT(refused, 1'000U);
  writer_.Clear(run, 1);
  memory_.Collect(1);
  EXPECT_EQ(memory_.bytes_in_use(), 0U);
}

}  // namespace
}  // namespace headrace::pipeline
