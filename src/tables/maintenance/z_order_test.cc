#include "tables/maintenance/z_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>
#include <string>

#include "columns/batch_builder.h"

namespace headrace::tables {
namespace {

using columns::Column;
using columns::ColumnBuilder;
using columns::Type;

constexpr size_t kAll = 1'000'000;

Column Ints(const std::vector<int64_t>& values) {
  ColumnBuilder builder(Type::kInt64);
  for (const int64_t value : values) builder.AppendInt(value);
  return builder.Finish();
}

TEST(ZOrder, OfOneColumnIsItsOrder) {
  const std::vector<Column> columns = {Ints({30, 10, 20, 10})};
  EXPECT_EQ(ZOrder(columns, kAll).order, (std::vector<uint32_t>{1, 3, 2, 0}));
}

TEST(ZOrder, NullsComeFirstAndNanLast) {
  ColumnBuilder builder(Type::kFloat64);
  builder.AppendDouble(std::numeric_limits<double>::quiet_NaN());
  builder.AppendDouble(1);
  builder.AppendNull();
  builder.AppendDouble(-std::numeric_limits<double>::infinity());
  const std::vector<Column> columns = {builder.Finish()};
  EXPECT_EQ(ZOrder(columns, kAll).order, (std::vector<uint32_t>{2, 3, 1, 0}));
}

// A square of 4 x 4, row by row, along the curve.
TEST(ZOrder, OfTwoColumnsGoesInQuarters) {
  std::vector<int64_t> x(16);
  std::vector<int64_t> y(16);
  for (int64_t i = 0; i < 16; ++i) {
    x[static_cast<size_t>(i)] = i % 4;
    y[static_cast<size_t>(i)] = i / 4;
  }
  const std::vector<Column> columns = {Ints(x), Ints(y)};
  const auto order = ZOrder(columns, kAll).order;
  for (size_t quarter = 0; quarter < 4; ++quarter)
    for (size_t i = 0; i < 4; ++i) {
      const uint32_t row = order[quarter * 4 + i];
      EXPECT_EQ(row % 4 / 2, quarter / 2) << row;
      EXPECT_EQ(row / 4 / 2, quarter % 2) << row;
    }
}

// Values of any size: rows that are cut into files have files that cover a small part of each
// column.
TEST(ZOrder, FilesCoverLittleOfEachColumn) {
  std::mt19937_64 random(1);
  constexpr size_t kRows = 40'000;
  constexpr size_t kFiles = 100;
  std::vector<int64_t> a(kRows);
  ColumnBuilder b(Type::kString);
  std::vector<std::string> texts(kRows);
  for (size_t i = 0; i < kRows; ++i) {
    a[i] = static_cast<int64_t>(random() % 1000) << (random() % 40);  // far from evenly spread
    texts[i] = std::to_string(random() % 5000);
    b.AppendText(texts[i]);
  }
  const std::vector<Column> columns = {Ints(a), b.Finish()};
  const auto order = ZOrder(columns, kAll).order;
  auto sorted = order;
  std::ranges::sort(sorted);
  std::vector<uint32_t> all(kRows);
  std::iota(all.begin(), all.end(), 0U);
  ASSERT_EQ(sorted, all) << "each row once";
  size_t hits_a = 0;
  size_t hits_b = 0;
  constexpr size_t kProbes = 200;
  for (size_t probe = 0; probe < kProbes; ++probe) {
    const size_t wanted = random() % kRows;
    for (size_t file = 0; file < kFiles; ++file) {
      const auto rows = std::span(order).subspan(file * (kRows / kFiles), kRows / kFiles);
      const auto [min_a, max_a] = std::ranges::minmax(rows, {}, [&](uint32_t r) { return a[r]; });
      const auto [min_b, max_b] =
          std::ranges::minmax(rows, {}, [&](uint32_t r) { return texts[r]; });
      hits_a += a[min_a] <= a[wanted] && a[wanted] <= a[max_a];
      hits_b += texts[min_b] <= texts[wanted] && texts[wanted] <= texts[max_b];
    }
  }
  EXPECT_LT(hits_a, kProbes * kFiles / 5);
  EXPECT_LT(hits_b, kProbes * kFiles / 5);
}

TEST(ZOrder, FilesEndWhereABitChanges) {
  std::vector<int64_t> x(16);
  std::vector<int64_t> y(16);
  for (int64_t i = 0; i < 16; ++i) {
    x[static_cast<size_t>(i)] = i % 4;
    y[static_cast<size_t>(i)] = i / 4;
  }
  const std::vector<Column> columns = {Ints(x), Ints(y)};
  EXPECT_EQ(ZOrder(columns, 16).ends, (std::vector<size_t>{16}));
  EXPECT_EQ(ZOrder(columns, 7).ends, (std::vector<size_t>{4, 8, 12, 16}));
  EXPECT_EQ(ZOrder(columns, 3).ends, (std::vector<size_t>{2, 4, 6, 8, 10, 12, 14, 16}));
  const std::vector<Column> alike = {Ints({7, 7, 7, 7, 7})};
  EXPECT_EQ(ZOrder(alike, 2).ends, (std::vector<size_t>{2, 4, 5}));
  const std::vector<Column> none = {Ints({})};
  EXPECT_TRUE(ZOrder(none, 2).ends.empty());
}

// Two columns as in `./dev bench small-files`: a user among 10,000, and a time. With files of at
// most 1/134 of the rows a value of the first is in a tenth of the rows at most.
TEST(ZOrder, AValueIsInATenthOfTheRows) {
  std::mt19937_64 random(2);
  constexpr size_t kRows = 100'000;
  std::vector<int64_t> user(kRows);
  std::vector<int64_t> at(kRows);
  for (size_t i = 0; i < kRows; ++i) {
    user[i] = static_cast<int64_t>(random() % 10'000);
    at[i] = static_cast<int64_t>(i);
  }
  const std::vector<Column> columns = {Ints(user), Ints(at)};
  const ZOrdered ordered = ZOrder(columns, kRows / 134);
  size_t read = 0;
  constexpr int64_t kProbes = 100;
  for (int64_t probe = 0; probe < kProbes; ++probe) {
    size_t begin = 0;
    for (const size_t end : ordered.ends) {
      const auto rows = std::span(ordered.order).subspan(begin, end - begin);
      const auto [least, most] =
          std::ranges::minmax(rows, {}, [&](uint32_t row) { return user[row]; });
      const int64_t wanted = probe * 97;
      if (user[least] <= wanted && wanted <= user[most]) read += end - begin;
      begin = end;
    }
  }
  EXPECT_LT(read, kProbes * kRows / 10);
}

}  // namespace
}  // namespace headrace::tables
