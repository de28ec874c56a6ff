#include "ingest/http/body_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headrace::ingest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr size_t kRowsMax = 100;

std::vector<std::string_view> Rows(std::string_view body, BodyForm form = BodyForm::kDetect) {
  auto rows = SplitBody(body, form, kRowsMax);
  EXPECT_TRUE(rows.has_value()) << body;
  return rows.value_or(std::vector<std::string_view>{"failed"});
}

std::string Refusal(std::string_view body, size_t rows_max = kRowsMax) {
  const auto rows = SplitBody(body, BodyForm::kDetect, rows_max);
  EXPECT_FALSE(rows.has_value()) << body;
  return rows ? std::string() : rows.error().message();
}

TEST(BodyRows, LinesWithBlanksBetweenAndAround) {
  EXPECT_THAT(Rows("{\"a\":1}\n\n  {\"a\":2} \r\n{\"a\":3}"),
              ElementsAre("{\"a\":1}", "{\"a\":2}", "{\"a\":3}"));
  EXPECT_THAT(Rows(""), IsEmpty());
  EXPECT_THAT(Rows(" \n\r\n "), IsEmpty());
}

TEST(BodyRows, ABadLineIsARowOfItsOwn) {
  EXPECT_THAT(Rows("{\"a\":\n}\nx"), ElementsAre("{\"a\":", "}", "x"));
}

TEST(BodyRows, ArrayElementsMayHoldBracketsCommasAndQuotes) {
  EXPECT_THAT(Rows(R"( [ {"a":[1,2],"b":{"c":1}} , {"a":"],[\"}"}, 5 ] )"),
              ElementsAre(R"({"a":[1,2],"b":{"c":1}})", R"({"a":"],[\"}"})", "5"));
  EXPECT_THAT(Rows("[]"), IsEmpty());
  EXPECT_THAT(Rows("[ ]"), IsEmpty());
}

TEST(BodyRows, AnArrayThatIsBroken) {
  EXPECT_THAT(Refusal("[{\"a\":1},"), HasSubstr("row 1 has no end"));
  EXPECT_THAT(Refusal("[{\"a\":\"]}"), HasSubstr("row 0 has no end"));
  EXPECT_THAT(Refusal("[{},,{}]"), HasSubstr("nothing where row 1"));
  EXPECT_THAT(Refusal("[{},]"), HasSubstr("nothing where row 1"));
  EXPECT_THAT(Refusal("[{}][{}]"), HasSubstr("follows the JSON array"));
}

TEST(BodyRows, LinesAreLinesWhateverTheyBeginWith) {
  EXPECT_THAT(Rows("[{\"a\":1}\n{\"a\":2}\n[]", BodyForm::kLines),
              ElementsAre("[{\"a\":1}", "{\"a\":2}", "[]"));
  EXPECT_THAT(Rows("{\n\"a\": 1}", BodyForm::kLines), ElementsAre("{", "\"a\": 1}"));
  EXPECT_THAT(Rows(" [ ]\n", BodyForm::kLines), IsEmpty()) << "a heartbeat";
}

TEST(BodyRows, OneValueMaySpanLines) {
  EXPECT_THAT(Rows("{\n \"a\": 1\n}\n", BodyForm::kOneValue), ElementsAre("{\n \"a\": 1\n}"));
  EXPECT_THAT(Rows("[{},{}]", BodyForm::kOneValue), ElementsAre("{}", "{}"));
}

TEST(BodyRows, MoreRowsThanTheLimit) {
  EXPECT_THAT(Refusal("{}\n{}\n{}", 2), HasSubstr("more than 2 rows"));
  EXPECT_THAT(Refusal("[{},{},{}]", 2), HasSubstr("more than 2 rows"));
}

TEST(BodyRows, DeepNestingIsNoTrouble) {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_EQ(Rows("[" + deep + "]").size(), 1U);
}

}  // namespace
}  // namespace headrace::ingest
