#include "tables/scan/row_filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "columns/batch_builder.h"
#include "tables/scan/scan_request.h"

namespace headrace::tables {
namespace {

using columns::Type;
using delta::Condition;
using ::testing::HasSubstr;

constexpr base::Timestamp kNow{1'750'000'000'000'000};

columns::SchemaRef Schema() {
  return std::make_shared<const columns::Schema>(
      std::vector<columns::Field>{{.id = 1, .name = "n", .type = Type::kInt32},
                                  {.id = 2, .name = "x", .type = Type::kFloat64},
                                  {.id = 3, .name = "f", .type = Type::kFloat32},
                                  {.id = 4, .name = "s", .type = Type::kString},
                                  {.id = 5, .name = "at", .type = Type::kTimestamp}});
}

std::string Pushed(const std::string& where) {
  const auto filter = RowFilter::Make(where, Schema(), kNow);
  if (!filter) return filter.error().message();
  std::string text;
  for (const Condition& condition : filter->conditions())
    text += fmt::format("{}{}{} ", condition.column,
                        std::array{"=", "<", "<=", ">", ">="}[static_cast<size_t>(condition.is)],
                        condition.value.ToJson());
  return text;
}

TEST(RowFilter, TermsThatCompareAColumnWithAConstantLeaveFilesOut) {
  EXPECT_EQ(Pushed("n = 3"), "n=3 ");
  EXPECT_EQ(Pushed("5 < n and n <= 2 + 7"), "n>5 n<=9 ");
  EXPECT_EQ(Pushed("x >= 2"), "x>=2.0 ");
  EXPECT_EQ(Pushed("x between 1.5 and 3 and s = 'a'"), "x>=1.5 x<=3.0 s=\"a\" ");
  EXPECT_EQ(Pushed("at > timestamp '2026-01-01T00:00:00Z'"), "at>\"2026-01-01T00:00:00Z\" ");
  EXPECT_EQ(Pushed("(n = 1 and s < 'b') and x is not null"), "n=1 s<\"b\" ");
}

TEST(RowFilter, WhatFilesCannotTellIsNotAskedOfThem) {
  for (const char* where :
       {"n = 1 or n = 2", "not (n = 1)", "n <> 4", "n > 1.5", "f > 0.1", "n = x", "s like 'a%'",
        "n + 1 = 4", "n not between 1 and 3", "upper(s) = 'A'", "n = null"})
    EXPECT_EQ(Pushed(where), "") << where;
}

TEST(RowFilter, RowsForWhichItIsNullStayOut) {
  columns::BatchBuilder rows(Schema());
  for (int i = 0; i < 6; ++i) {
    if (i % 2 == 0) {
      rows.column(0).AppendInt(i);
    } else {
      rows.column(0).AppendNull();
    }
    rows.column(1).AppendDouble(i);
    rows.column(2).AppendDouble(i);
    rows.column(3).AppendText("t");
    rows.column(4).AppendInt(i);
  }
  auto filter = RowFilter::Make("n >= 2 and x < 5", Schema(), kNow);
  ASSERT_TRUE(filter.has_value());
  const auto kept = filter->Apply(rows.Finish());
  ASSERT_TRUE(kept.has_value());
  ASSERT_EQ(kept->rows(), 2U);
  EXPECT_EQ(kept->column(0).Int32s()[0], 2);
  EXPECT_EQ(kept->column(0).Int32s()[1], 4);
}

TEST(RowFilter, WhatIsWrongIsSaidWithItsPlace) {
  EXPECT_THAT(Pushed("m = 1"), HasSubstr("m"));
  EXPECT_THAT(Pushed("n + 1"), HasSubstr("not a condition"));
  EXPECT_THAT(Pushed("n ="), HasSubstr("the text ends"));
}

TEST(ScanRequest, IsReadAsItWasWritten) {
  const ScanRequest request{
      .stream = "a \"b\"", .columns = {"x", "_epoch"}, .where = "s = 'ü\n'", .epoch = 12};
  const auto read = ParseScanRequest(RenderScanRequest(request));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(*read, request);
  EXPECT_EQ(RenderScanRequest({.stream = "s", .columns = {}, .where = {}, .epoch = {}}),
            R"({"scan":"s"})");
}

}  // namespace
}  // namespace headrace::tables
