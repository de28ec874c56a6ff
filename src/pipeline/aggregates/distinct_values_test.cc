#include "pipeline/aggregates/distinct_values.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace headrace::pipeline {
namespace {

void AddCells(DistinctValues& values, std::span<const uint64_t> cells) {
  for (size_t begin = 0; begin < cells.size(); begin += kBlockRows) {
    const auto some = cells.subspan(begin, std::min<size_t>(kBlockRows, cells.size() - begin));
    values.Add({.cells = some.data()}, RowsBelow(static_cast<uint32_t>(some.size())));
  }
}

std::vector<uint64_t> Numbers(uint64_t seed, size_t count) {
  std::mt19937_64 random(seed);
  std::vector<uint64_t> cells(count);
  for (uint64_t& cell : cells) cell = random();
  return cells;
}

// Over 60 sets of each size: the mean shows the bias, the root of the mean square the error.
TEST(DistinctValues, EstimatesAreUnbiasedAndWithinTheStatedError) {
  for (const int bits : {6, 10, 12}) {
    const double stated = HyperLogLog::StandardError(bits);
    for (const size_t size : {1'100, 3'000, 10'000, 40'000, 200'000}) {
      constexpr int kSets = 60;
      double sum = 0;
      double squares = 0;
      for (int set = 0; set < kSets; ++set) {
        DistinctValues values(CellKind::kInteger, bits);
        AddCells(values, Numbers(size * 1000 + static_cast<size_t>(set), size));
        const double error = static_cast<double>(*values.Count()) / static_cast<double>(size) - 1;
        sum += error;
        squares += error * error;
        ASSERT_LT(std::abs(error), 5 * stated) << bits << " bits, " << size << " values";
      }
      EXPECT_LT(std::abs(sum / kSets), 0.5 * stated) << bits << " bits, " << size << " values";
      EXPECT_LT(std::sqrt(squares / kSets), 1.3 * stated) << bits << " bits, " << size << " values";
    }
  }
}

TEST(DistinctValues, AreExactUpToTheirNumber) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{1000}, kExactDistinctMax}) {
    DistinctValues values(CellKind::kInteger, 4);
    std::vector<uint64_t> cells(size);
    std::iota(cells.begin(), cells.end(), 0);
    AddCells(values, cells);
    AddCells(values, cells);
    EXPECT_EQ(values.Count(), size);
  }
}

TEST(DistinctValues, OrderRepeatsAndGroupingChangeNothing) {
  const uint64_t seed = 11;
  std::mt19937_64 random(seed);
  for (const size_t size : {500, 1024, 1025, 5'000}) {
    std::vector<uint64_t> cells = Numbers(seed + size, size);
    cells.insert(cells.end(), cells.begin(), cells.begin() + 300);
    DistinctValues all(CellKind::kInteger, 9);
    AddCells(all, cells);
    for (int trial = 0; trial < 50; ++trial) {
      std::shuffle(cells.begin(), cells.end(), random);
      std::vector<DistinctValues> parts(3, DistinctValues(CellKind::kInteger, 9));
      for (size_t begin = 0; begin < cells.size();) {
        const size_t end = std::min(cells.size(), begin + 1 + random() % (cells.size() / 2));
        AddCells(parts[random() % 3], std::span(cells).subspan(begin, end - begin));
        begin = end;
      }
      parts[2].Merge(parts[1]);
      parts[0].Merge(parts[2]);
      ASSERT_EQ(parts[0].Count(), all.Count()) << "seed " << seed << " trial " << trial;
    }
  }
}

TEST(DistinctValues, BeyondTheirLimitExactOnesHaveNoAnswer) {
  DistinctValues values(CellKind::kInteger, 0);
  std::vector<uint64_t> cells(kDistinctValuesMax);
  std::iota(cells.begin(), cells.end(), 0);
  AddCells(values, cells);
  EXPECT_EQ(values.Count(), kDistinctValuesMax);
  DistinctValues one(CellKind::kInteger, 0);
  AddCells(one, std::vector<uint64_t>{kDistinctValuesMax});
  DistinctValues both(CellKind::kInteger, 0);
  both.Merge(values);
  both.Merge(one);
  EXPECT_EQ(both.Count(), std::nullopt);
  AddCells(both, cells);
  EXPECT_EQ(both.Count(), std::nullopt);
  both.Reset();
  AddCells(both, std::vector<uint64_t>{1});
  EXPECT_EQ(both.Count(), 1U);
}

TEST(DistinctValues, ZerosAreOneValueAndSoAreNans) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<uint64_t> cells;
  for (const double v : {0.0, -0.0, nan, -nan, 1.0, std::numeric_limits<double>::infinity()})
    cells.push_back(std::bit_cast<uint64_t>(v));
  DistinctValues values(CellKind::kDouble, 0);
  AddCells(values, cells);
  EXPECT_EQ(values.Count(), 4U);
}

TEST(DistinctValues, TextsAreComparedByTheirBytes) {
  std::vector<std::string> texts = {"", "a", "sevenby", "eight bytes and more", "eight bytes and"};
  std::vector<std::vector<char>> blobs;
  std::vector<uint64_t> cells;
  for (int twice = 0; twice < 2; ++twice) {
    for (const std::string& text : texts) {
      blobs.emplace_back(TextCell::BlobBytes(text));
      cells.push_back(text.size() <= TextCell::kInlineMax
                          ? TextCell::Inline(text)
                          : TextCell::Outside(text, blobs.back().data()));
    }
  }
  DistinctValues values(CellKind::kText, 0);
  AddCells(values, cells);
  EXPECT_EQ(values.Count(), texts.size());
}

}  // namespace
}  // namespace headrace::pipeline
