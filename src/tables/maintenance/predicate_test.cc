#include "tables/maintenance/predicate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headrace::tables {
namespace {

using columns::Type;
using delta::Condition;
using Is = Condition::Is;

constexpr int64_t kDayUs = 86'400'000'000;
constexpr base::Timestamp kNow{100 * kDayUs + 3'600'000'000};

delta::TableColumns Columns() {
  delta::TableColumns table;
  const auto add = [&](const char* name, const char* type, Type held) {
    table.columns.push_back(
        {.name = name, .physical_name = name, .field_id = {}, .type = type, .held = held});
  };
  add("carrier", "string", Type::kString);
  add("delay", "long", Type::kInt64);
  add("at", "timestamp", Type::kTimestamp);
  add("on_day", "date", Type::kDate);
  add("day", "integer", Type::kInt32);
  return table;
}

std::string Shown(std::string_view text) {
  const auto conditions = ParsePredicate(text, Columns(), kNow);
  if (!conditions) return conditions.error().message();
  std::string shown;
  constexpr const char* kSigns[] = {"=", "<", "<=", ">", ">="};
  for (const Condition& condition : *conditions)
    shown += (shown.empty() ? "" : " and ") + condition.column +
             kSigns[static_cast<size_t>(condition.is)] + condition.value.ToJson();
  return shown;
}

TEST(Predicate, IsConditionsJoinedByAnd) {
  EXPECT_EQ(Shown("carrier = 'AA'"), R"(carrier="AA")");
  EXPECT_EQ(Shown("carrier='it''s' AND delay>=-5"), R"(carrier="it's" and delay>=-5)");
  EXPECT_EQ(Shown("delay < 3 and delay <= 4 and delay > 1"), "delay<3 and delay<=4 and delay>1");
  EXPECT_EQ(Shown("on_day = '1970-01-03'"), R"(on_day="1970-01-03")");
  EXPECT_EQ(Shown("day = 5"), "day=5");
}

TEST(Predicate, KnowsNowAndDays) {
  EXPECT_EQ(Shown("at > now - 2d"), R"(at>"1970-04-09T01:00:00Z")");
  EXPECT_EQ(Shown("at <= now"), R"(at<="1970-04-11T01:00:00Z")");
  EXPECT_EQ(Shown("day(at) = yesterday"),
            R"(at>="1970-04-10T00:00:00Z" and at<"1970-04-11T00:00:00Z")");
  EXPECT_EQ(Shown("day(at)=today"), R"(at>="1970-04-11T00:00:00Z" and at<"1970-04-12T00:00:00Z")");
  EXPECT_EQ(Shown("day(at) = '2013-01-05'"),
            R"(at>="2013-01-05T00:00:00Z" and at<"2013-01-06T00:00:00Z")");
}

TEST(Predicate, SaysWhatIsWrong) {
  using testing::HasSubstr;
  EXPECT_THAT(Shown("carier = 'AA'"), HasSubstr("no column `carier`"));
  EXPECT_THAT(Shown("carrier = 'AA"), HasSubstr("a quote is not closed"));
  EXPECT_THAT(Shown("carrier"), HasSubstr("is missing"));
  EXPECT_THAT(Shown("carrier ="), HasSubstr("a value is missing"));
  EXPECT_THAT(Shown("delay = many"), HasSubstr("column `delay` is long"));
  EXPECT_THAT(Shown("delay = now"), HasSubstr("`now` a time"));
  EXPECT_THAT(Shown("delay = 1 or delay = 2"), HasSubstr("joined by `and`"));
  EXPECT_THAT(Shown(""), HasSubstr("a column is missing"));
  EXPECT_THAT(Shown("day(delay) = today"), HasSubstr("has no day"));
  EXPECT_THAT(Shown(std::string(5000, 'x')), HasSubstr("4 KiB"));
}

}  // namespace
}  // namespace headrace::tables
