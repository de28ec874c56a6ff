#include "tables/delta/version_list.h"

#include <gtest/gtest.h>

namespace headrace::tables::delta {
namespace {

TEST(CommitCosts, AreOfTheCommitsThatBroughtRows) {
  const CommitCosts costs = CostsOf({
      {.version = 4,
       .files_added = 1,
       .rows_added = 100,
       .bytes_added = 1000,
       .log_bytes = 50,
       .age_mean_ms = 10,
       .age_max_ms = 30},
      {.version = 3,
       .files_added = 1,
       .files_removed = 2,
       .rows_added = 400,
       .bytes_added = 9000,
       .log_bytes = 70},  // a rewriting
      {.version = 2,
       .files_added = 2,
       .rows_added = 300,
       .bytes_added = 3000,
       .log_bytes = 60,
       .age_mean_ms = 50,
       .age_max_ms = 80},
      {.version = 1, .files_added = 1, .rows_added = 600, .bytes_added = 5000, .log_bytes = 40},
      {.version = 0, .log_bytes = 900},
  });
  EXPECT_EQ(costs.commits, 3U);
  EXPECT_EQ(costs.files, 4U);
  EXPECT_EQ(costs.rows, 1000U);
  EXPECT_EQ(costs.data_bytes, 9000U);
  EXPECT_EQ(costs.log_bytes, 150U);
  EXPECT_EQ(costs.aged_rows, 400U);
  EXPECT_DOUBLE_EQ(costs.age_mean_ms, 40);
  EXPECT_DOUBLE_EQ(costs.age_max_ms, 80);
}

TEST(CommitCosts, OfNothingAreNothing) {
  EXPECT_EQ(CostsOf({}).commits, 0U);
  EXPECT_EQ(CostsOf({}).age_mean_ms, 0);
}

}  // namespace
}  // namespace headrace::tables::delta
