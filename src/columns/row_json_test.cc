#include "columns/row_json.h"

#include <gtest/gtest.h>

#include "columns/batch_builder.h"

namespace headrace::columns {
namespace {

std::string Written(std::string_view text) {
  const auto schema = std::make_shared<const Schema>(
      std::vector<Field>{{1, "list", Type::kString}, {2, "note", Type::kString}});
  BatchBuilder builder(schema);
  builder.column(0).AppendText(text);
  builder.column(1).AppendText(text);
  return RowAsJson(
      builder.Finish(), 0,
      std::make_shared<const std::vector<std::string>>(std::vector<std::string>{"list"}));
}

TEST(RowJson, JsonColumnsAreWrittenAsWhatTheyHoldOnOneLine) {
  EXPECT_EQ(Written("[1,2]"), R"({"list":[1,2],"note":"[1,2]"})");
  EXPECT_EQ(Written("[ 1.50,\n {\"a b\" : \"c d\"} ]"),
            R"({"list":[1.50,{"a b":"c d"}],"note":"[ 1.50,\n {\"a b\" : \"c d\"} ]"})");
  EXPECT_EQ(Written("{}"), R"({"list":{},"note":"{}"})");
}

TEST(RowJson, WhatIsNoListAndNoObjectStaysText) {
  EXPECT_EQ(Written("[1,"), R"({"list":"[1,","note":"[1,"})");
  EXPECT_EQ(Written("12"), R"({"list":"12","note":"12"})");
  EXPECT_EQ(Written(""), R"({"list":"","note":""})");
}

}  // namespace
}  // namespace headrace::columns
