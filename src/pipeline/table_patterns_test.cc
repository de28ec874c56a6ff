// Who filters on which columns, and what a table's `optimize` may say.

#include "pipeline/table_patterns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/flights_fixture.h"

namespace headrace::pipeline {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string WithOptimize(const std::string& optimize) {
  return With("tables: {flights: {commit: 2s}}",
              "consumers: {board: {reads: flights, pattern: \"destination = ? and delay > 15\"}}\n"
              "tables: {flights: {commit: 2s, optimize: " +
                  optimize + "}}");
}

TEST(TablePatterns, AreOfViewsConsumersAndTime) {
  const auto checked = Check(WithOptimize("{every: 1h}"));
  ASSERT_TRUE(checked.definition) << Rendered(WithOptimize("{every: 1h}"));
  const auto columns = FilterColumns(*checked.definition, 0);
  const columns::SchemaRef schema = checked.definition->streams[0].schema();
  std::vector<std::string> names;
  for (const FilterColumn& column : columns) names.push_back(schema->field(column.field).name);
  EXPECT_THAT(names, ElementsAre("origin", "landed_at", "destination", "delay"));
  EXPECT_THAT(columns[0].who,
              ElementsAre("view origin: by", "view route: by", "view origin_last: by"));
  EXPECT_THAT(columns[3].who, ElementsAre("consumer board: pattern"));
  EXPECT_THAT(ZOrderByPatterns(*checked.definition, 0),
              ElementsAre("origin", "landed_at", "destination"));
  EXPECT_FALSE(NotFilteredBy(*checked.definition, 0, "delay"));
  EXPECT_THAT(NotFilteredBy(*checked.definition, 0, "fuel").value_or(""),
              HasSubstr("readers filter on origin (view origin: by)"));
}

TEST(TablePatterns, OptimizeIsRead) {
  const auto checked = Check(WithOptimize(
      "{every: 10m, where: day(landed_at) = yesterday, z_order: [origin, delay], target: 1MiB}"));
  ASSERT_TRUE(checked.definition);
  const auto& optimize = checked.definition->tables[0].optimize;
  ASSERT_TRUE(optimize);
  EXPECT_EQ(optimize->every, std::chrono::minutes(10));
  EXPECT_EQ(optimize->where, "day(landed_at) = yesterday");
  EXPECT_THAT(optimize->z_order, ElementsAre("origin", "delay"));
  EXPECT_EQ(optimize->target_bytes, 1U << 20);
  const auto chosen = Check(WithOptimize("{z_order: auto}"));
  ASSERT_TRUE(chosen.definition);
  EXPECT_THAT(chosen.definition->tables[0].optimize->z_order,
              ElementsAre("origin", "landed_at", "destination"));
}

TEST(TablePatterns, AnOrderThatNobodyProfitsFromIsRefused) {
  EXPECT_THAT(
      Rendered(WithOptimize("{z_order: [origin, fuel]}")),
      testing::AllOf(HasSubstr("HR0235"), HasSubstr("no reader of flights filters on `fuel`")));
  EXPECT_THAT(Rendered(WithOptimize("{z_order: [orign]}")),
              testing::AllOf(HasSubstr("HR0214"), HasSubstr("no column `orign`")));
  EXPECT_THAT(Rendered(WithOptimize("{every: 1s}")), HasSubstr("at least 10s"));
  EXPECT_THAT(Rendered(WithOptimize("{target: 1KiB}")), HasSubstr("at least 64KiB"));
  EXPECT_THAT(Rendered(WithOptimize("{target: 2GiB}")), HasSubstr("at most 1GiB"));
  EXPECT_THAT(Rendered(WithOptimize("{evry: 1h}")), HasSubstr("evry"));
}

}  // namespace
}  // namespace headrace::pipeline
