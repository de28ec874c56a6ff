#include "tables/where/where_clause.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "columns/batch_builder.h"

namespace headrace::tables {
namespace {

using columns::Type;
using delta::Condition;
using testing::HasSubstr;

constexpr int64_t kDayUs = 86'400'000'000;
constexpr base::Timestamp kNow{100 * kDayUs + 3'600'000'000};

columns::SchemaRef Schema() {
  return std::make_shared<const columns::Schema>(
      std::vector<columns::Field>{{.id = 1, .name = "carrier", .type = Type::kString},
                                  {.id = 2, .name = "delay", .type = Type::kInt64},
                                  {.id = 3, .name = "at", .type = Type::kTimestamp},
                                  {.id = 4, .name = "on_day", .type = Type::kDate},
                                  {.id = 5, .name = "day", .type = Type::kInt32},
                                  {.id = 6, .name = "local", .type = Type::kTimestampNtz}});
}

base::Result<WhereClause> Parse(const std::string& text) {
  return WhereClause::Parse(text, Schema(), kNow, {{"nested", "struct"}});
}

// The conditions of a text of which files can tell all; else what is wrong.
std::string Shown(const std::string& text) {
  const auto where = Parse(text);
  if (!where) return where.error().message();
  if (const auto all = where->CheckFilesTellAll(); !all) return all.error().message();
  std::string shown;
  constexpr std::array kSigns = {"=", "<", "<=", ">", ">="};
  for (const Condition& condition : where->conditions())
    shown += (shown.empty() ? "" : " and ") + condition.column +
             kSigns[static_cast<size_t>(condition.is)] + condition.value.ToJson();
  return shown;
}

TEST(WhereClause, IsConditionsJoinedByAnd) {
  EXPECT_EQ(Shown("carrier = 'AA'"), R"(carrier="AA")");
  EXPECT_EQ(Shown("carrier='it''s' AND delay>=-5"), R"(carrier="it's" and delay>=-5)");
  EXPECT_EQ(Shown("delay < 3 and delay <= 4 and delay > 1"), "delay<3 and delay<=4 and delay>1");
  EXPECT_EQ(Shown("delay between 1 and 2 + 3"), "delay>=1 and delay<=5");
  EXPECT_EQ(Shown("on_day = '1970-01-03'"), R"(on_day="1970-01-03")");
  EXPECT_EQ(Shown("day = 5"), "day=5");
}

TEST(WhereClause, KnowsNowAndDays) {
  EXPECT_EQ(Shown("at > now - 2d"), R"(at>"1970-04-09T01:00:00Z")");
  EXPECT_EQ(Shown("at <= now"), R"(at<="1970-04-11T01:00:00Z")");
  EXPECT_EQ(Shown("now - 1h < at"), R"(at>"1970-04-11T00:00:00Z")");
  EXPECT_EQ(Shown("on_day >= yesterday"), R"(on_day>="1970-04-10")");
  EXPECT_EQ(Shown("at >= today"), R"(at>="1970-04-11T00:00:00Z")");
  EXPECT_EQ(Shown("local < now"), R"(local<"1970-04-11T01:00:00")");
  EXPECT_EQ(Shown("day(at) = yesterday"),
            R"(at>="1970-04-10T00:00:00Z" and at<"1970-04-11T00:00:00Z")");
  EXPECT_EQ(Shown("day(at)=today"), R"(at>="1970-04-11T00:00:00Z" and at<"1970-04-12T00:00:00Z")");
  EXPECT_EQ(Shown("day(at) = '2013-01-05' and delay = 1"),
            R"(at>="2013-01-05T00:00:00Z" and at<"2013-01-06T00:00:00Z" and delay=1)");
}

TEST(WhereClause, ATextBesideATimeIsOne) {
  EXPECT_EQ(Shown("at >= '2013-01-05' and at < '2013-01-06T12:00:00Z'"),
            R"(at>="2013-01-05T00:00:00Z" and at<"2013-01-06T12:00:00Z")");
  EXPECT_EQ(Shown("at between '2013-01-05' and '2013-01-06'"),
            R"(at>="2013-01-05T00:00:00Z" and at<="2013-01-06T00:00:00Z")");
}

// Bits of rows that fit, as an expression over a batch.
std::string Fitting(const std::string& text) {
  const auto where = Parse(text);
  if (!where) return where.error().message();
  const auto expression = where->CompileFor(Schema());
  if (!expression) return expression.error().message();
  columns::BatchBuilder rows(Schema());
  for (int i = 0; i < 4; ++i) {
    rows.column(0).AppendText(i % 2 == 0 ? "AA" : "UA");
    rows.column(1).AppendInt(i);
    rows.column(2).AppendInt((98 + i) * kDayUs + 5);
    rows.column(3).AppendInt(98 + i);
    rows.column(4).AppendInt(i);
    rows.column(5).AppendInt((98 + i) * kDayUs);
  }
  const columns::Column fits = expression->Evaluate(rows.Finish());
  std::string bits;
  for (size_t row = 0; row < 4; ++row) bits += !fits.IsNull(row) && fits.Bool(row) ? '1' : '0';
  return bits;
}

TEST(WhereClause, RowsAreAskedTheSame) {
  EXPECT_EQ(Fitting("day(at) = yesterday"), "0100");
  EXPECT_EQ(Fitting("at > now - 1d or carrier = 'AA'"), "1011");
  EXPECT_EQ(Fitting("at in ('1970-04-09T00:00:00.000005Z', now)"), "1000");
  EXPECT_EQ(Fitting("day(at) = 10"), "0100") << "the day of the month";
  EXPECT_EQ(Fitting("day = 3 and not (on_day < today)"), "0001");
}

TEST(WhereClause, MarksWhatIsWrong) {
  EXPECT_EQ(Shown("delay > 1 and carier = 'AA'"),
            "where: no column `carier`: did you mean `carrier`\n"
            "  delay > 1 and carier = 'AA'\n"
            "                ^^^^^^");
  EXPECT_THAT(Shown("carrier = 'AA"), HasSubstr("\n  carrier = 'AA\n            ^"));
  EXPECT_THAT(Shown("carrier ="), HasSubstr("\n  carrier ="));
  EXPECT_THAT(Shown("delay = many"), HasSubstr("no column `many`"));
  EXPECT_THAT(Shown("at > 'tomorrow'"), HasSubstr("\n  at > 'tomorrow'\n       ^^^^^^^^^^"));
  EXPECT_THAT(Shown("day(delay) = today"),
              HasSubstr("has no day\n  day(delay) = today\n      ^^^^^"));
  EXPECT_THAT(Shown("day(at) = 'soon'"), HasSubstr("no day"));
  EXPECT_THAT(Shown("nested = 1"), HasSubstr("column `nested` is struct, which is not compared"));
  EXPECT_THAT(Shown("delay + 1"), HasSubstr("not a condition"));
  EXPECT_THAT(Shown(""), HasSubstr("where: "));
  EXPECT_THAT(Shown(std::string(20'000, 'x')), HasSubstr("16384"));
}

// Places are those of the text, whatever stands for what is before them.
TEST(WhereClause, MarksPlacesBehindWhatIsWrittenOut) {
  EXPECT_THAT(Shown("at > now - 2d and day(at) = today and carier = 'é'"),
              HasSubstr("\n  at > now - 2d and day(at) = today and carier = 'é'\n"
                        "                                        ^^^^^^"));
  EXPECT_THAT(Shown("carrier = 'é' and delay = now"),
              HasSubstr("\n  carrier = 'é' and delay = now\n                    ^"));
}

TEST(WhereClause, WhatFilesCannotTellIsRefusedWhereTheyAreChosen) {
  for (const char* text : {"delay = 1 or delay = 2", "not (delay = 1)", "delay <> 4", "delay > 1.5",
                           "delay + 1 = 4", "carrier like 'A%'"}) {
    EXPECT_TRUE(Parse(text).has_value()) << text;
    EXPECT_THAT(Shown(text), HasSubstr("files are chosen by their least and greatest values"));
  }
  EXPECT_THAT(Shown("delay = 1 and carrier like 'A%'"),
              HasSubstr("\n  delay = 1 and carrier like 'A%'\n                ^^^^^^^"));
}

}  // namespace
}  // namespace headrace::tables
