#include "tables/publish/plan.h"

#include <gtest/gtest.h>

namespace headrace::tables {
namespace {

TEST(PlanFileName, TellsThePlanAndNothingElseDoes) {
  const auto log = *base::LogId::Parse("0123456789abcdef0123456789abcdef");
  const auto other = *base::LogId::Parse("1123456789abcdef0123456789abcdef");
  const PublishPlan plan{{3}, {41}, {12'345}};
  const std::string name = FileName(log, plan, 12);
  const auto parsed = ParseFileName(log, name);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->plan, plan);
  EXPECT_EQ(parsed->number, 12U);
  EXPECT_FALSE(ParseFileName(other, name).has_value());
  EXPECT_FALSE(ParseFileName(log, "somebody-1.parquet").has_value());
  for (size_t size = 0; size < name.size(); ++size)
    EXPECT_FALSE(ParseFileName(log, name.substr(0, size)).has_value()) << size;
  EXPECT_FALSE(ParseFileName(log, name + "x").has_value());
}

}  // namespace
}  // namespace headrace::tables
