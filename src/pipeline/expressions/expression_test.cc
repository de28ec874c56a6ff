#include "pipeline/expressions/expression.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "columns/batch_builder.h"
#include "pipeline/expressions/functions.h"
#include "pipeline/expressions/output.h"
#include "pipeline/expressions/random_expression.h"

namespace headrace::pipeline {
namespace {

using columns::Column;
using columns::ColumnBatch;
using columns::Type;
using columns::Value;

columns::SchemaRef NoColumns() { return std::make_shared<const columns::Schema>(); }

// The JSON of an expression without columns, or its error.
std::string Calculate(std::string_view text) {
  auto expression = Expression::Compile(text, NoColumns());
  if (!expression) return "error: " + expression.error().message;
  return expression->Evaluate(std::span<const Value>()).ToJson();
}

TEST(Expression, ExamplesOfFunctionsHold) {
  for (const FunctionRow* row : FunctionTable())
    EXPECT_EQ(Calculate(row->example), row->result) << row->example;
}

TEST(Expression, ExamplesOfFormsHold) {
  for (const FormRow& row : FormTable())
    EXPECT_EQ(Calculate(row.example), row.result) << row.example;
}

TEST(Expression, FunctionsAreSortedAndUnique) {
  for (const FunctionTopic& topic : FunctionTopics())
    for (size_t i = 1; i < topic.rows.size(); ++i)
      EXPECT_LT(topic.rows[i - 1].name, topic.rows[i].name);
  std::vector<std::string> names = FunctionNames();
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

TEST(Expression, Precedence) {
  EXPECT_EQ(Calculate("1 + 2 * 3 - 4"), "3");
  EXPECT_EQ(Calculate("(1 + 2) * 3"), "9");
  EXPECT_EQ(Calculate("8 - 4 - 2"), "2");
  EXPECT_EQ(Calculate("NOT 1 = 2 AND 3 = 3"), "true");
  EXPECT_EQ(Calculate("TRUE OR TRUE AND FALSE"), "true");
  EXPECT_EQ(Calculate("-2 * -3"), "6");
  EXPECT_EQ(Calculate("1 + 1 BETWEEN 2 AND 2 AND TRUE"), "true");
  EXPECT_EQ(Calculate("'a' || 'b' = 'ab'"), "true");
}

TEST(Expression, IntegersOverflowToNull) {
  EXPECT_EQ(Calculate("9223372036854775807 + 1"), "null");
  EXPECT_EQ(Calculate("-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(Calculate("abs(-9223372036854775808)"), "null");
  EXPECT_EQ(Calculate("div(-9223372036854775808, -1)"), "null");
  EXPECT_EQ(Calculate("-9223372036854775808 % -1"), "0");
  EXPECT_EQ(Calculate("3037000500 * 3037000500"), "null");
}

TEST(Expression, DivisionIsFloatAndByZeroNull) {
  EXPECT_EQ(Calculate("1 / 4"), "0.25");
  EXPECT_EQ(Calculate("1 / 0"), "null");
  EXPECT_EQ(Calculate("1.5 % 0"), "null");
  EXPECT_EQ(Calculate("7.5 % 2"), "1.5");
}

TEST(Expression, ThreeValuedLogic) {
  EXPECT_EQ(Calculate("FALSE AND NULL"), "false");
  EXPECT_EQ(Calculate("TRUE AND NULL"), "null");
  EXPECT_EQ(Calculate("TRUE OR NULL"), "true");
  EXPECT_EQ(Calculate("FALSE OR NULL"), "null");
  EXPECT_EQ(Calculate("NOT NULL"), "null");
  EXPECT_EQ(Calculate("1 IN (2, NULL)"), "null");
  EXPECT_EQ(Calculate("2 IN (2, NULL)"), "true");
  EXPECT_EQ(Calculate("1 NOT IN (2, 3, 4)"), "true");
  EXPECT_EQ(Calculate("NULL BETWEEN 1 AND 2"), "null");
  EXPECT_EQ(Calculate("NULL = NULL"), "null");
}

TEST(Expression, CastsThatFailAreNull) {
  EXPECT_EQ(Calculate("CAST('x' AS int64)"), "null");
  EXPECT_EQ(Calculate("CAST(2.9 AS int64)"), "2");
  EXPECT_EQ(Calculate("CAST(-2.9 AS int64)"), "-2");
  EXPECT_EQ(Calculate("CAST(1e19 AS int64)"), "null");
  EXPECT_EQ(Calculate("CAST(3000000000 AS int32)"), "null");
  EXPECT_EQ(Calculate("CAST(1e300 AS float32)"), "null");
  EXPECT_EQ(Calculate("CAST('1e300' AS float32)"), "null");
  EXPECT_EQ(Calculate("CAST('-1e300' AS float32)"), "null");
  EXPECT_EQ(Calculate("CAST('inf' AS float32)"), "\"Infinity\"");
  EXPECT_EQ(Calculate("CAST(TRUE AS int64)"), "1");
  EXPECT_EQ(Calculate("CAST(12 AS string) || 'x'"), "\"12x\"");
  EXPECT_EQ(Calculate("CAST(TIMESTAMP '1969-12-31T23:00:00Z' AS date)"), "\"1969-12-31\"");
  EXPECT_EQ(Calculate("CAST(DATE '2001-01-01' AS timestamp)"), "\"2001-01-01T00:00:00Z\"");
  EXPECT_EQ(Calculate("CAST(1 AS bool)"), "error: int64 can't become bool");
}

TEST(Expression, TimesAndSpans) {
  EXPECT_EQ(Calculate("TIMESTAMP '2001-01-01T00:00:00Z' + 90s"), "\"2001-01-01T00:01:30Z\"");
  EXPECT_EQ(Calculate("TIMESTAMP '2001-01-02' - TIMESTAMP '2001-01-01' = 1d"), "true");
  EXPECT_EQ(Calculate("90m / 1h"), "1.5");
  EXPECT_EQ(Calculate("DATE '2001-03-01' - DATE '2001-02-01'"), "28");
  EXPECT_EQ(Calculate("DATE '2001-02-28' + 1"), "\"2001-03-01\"");
  EXPECT_EQ(Calculate("DATE '2001-01-01' < TIMESTAMP '2001-01-01T00:00:01Z'"), "true");
  EXPECT_EQ(Calculate("hour(TIMESTAMP '1969-12-31T23:30:00Z')"), "23");
  EXPECT_EQ(Calculate("day_of_week(DATE '1969-12-28')"), "7");
  EXPECT_EQ(Calculate("date_trunc('week', DATE '2001-01-07')"), "\"2001-01-01T00:00:00Z\"");
  EXPECT_EQ(Calculate("date_trunc('month', TIMESTAMP '1969-12-31T23:30:00Z')"),
            "\"1969-12-01T00:00:00Z\"");
  EXPECT_EQ(Calculate("1h > 5"),
            "error: duration and int64 do not go together; write a span of time as 30m or 1h");
}

// State that was made by what a function once did is told by it.
TEST(Expression, SaysWhichFunctionsHaveChanged) {
  const auto semantics = [](std::string_view text) {
    return Expression::Compile(text,
                               std::make_shared<const columns::Schema>(
                                   std::vector<columns::Field>{{1, "s", columns::Type::kString}}))
        ->semantics();
  };
  EXPECT_EQ(semantics("upper(s)"), "");
  EXPECT_EQ(semantics("LTRIM(s)"), "trim 2");
}

TEST(Expression, HalvesOfTheDayAndBlanksAreReadAsDuckDbReadsThem) {
  EXPECT_EQ(Calculate("strptime('2001-02-03 3 PM', '%Y-%m-%d %H %p')"), "\"2001-02-03T15:00:00Z\"");
  EXPECT_EQ(Calculate("strptime('2001-02-03 12 AM', '%Y-%m-%d %H %p')"),
            "\"2001-02-03T00:00:00Z\"");
  EXPECT_EQ(Calculate("strptime('2001-02-03 13 PM', '%Y-%m-%d %H %p')"), "null");
  EXPECT_EQ(Calculate("strptime('2001-02-03 12', '%Y-%m-%d %I')"), "\"2001-02-03T12:00:00Z\"");
  EXPECT_EQ(Calculate("strptime(' 2001   2 ', '%Y %m')"), "\"2001-02-01T00:00:00Z\"");
  EXPECT_EQ(Calculate("strptime('20012', '%Y %m')"), "null");
}

TEST(Expression, TextFunctionsCountCodePoints) {
  EXPECT_EQ(Calculate("substr('Zürich', 2, 2)"), "\"ür\"");
  EXPECT_EQ(Calculate("substr('abc', 0, 2)"), "\"a\"");
  EXPECT_EQ(Calculate("substr('abc', -5)"), "\"abc\"");
  EXPECT_EQ(Calculate("substr('abc', 9)"), "\"\"");
  EXPECT_EQ(Calculate("substr('abc', -2)"), "\"bc\"");
  EXPECT_EQ(Calculate("substr('abc', -5, 3)"), "\"a\"");
  EXPECT_EQ(Calculate("substr('abcdef', 4, -2)"), "\"bc\"");
  EXPECT_EQ(Calculate("'ü' LIKE '_'"), "true");
  EXPECT_EQ(Calculate("'aXbXc' LIKE 'a%X_'"), "true");
  EXPECT_EQ(Calculate("'abc' NOT LIKE 'a_'"), "true");
  EXPECT_EQ(Calculate("upper('straße')"), "\"STRAßE\"");
  EXPECT_EQ(Calculate("'a' || NULL"), "null");
}

// What is cut out of a text is as long as it is.
TEST(Expression, AMadeTextHasABound) {
  auto schema =
      std::make_shared<const columns::Schema>(std::vector<columns::Field>{{1, "s", Type::kString}});
  for (const char* text :
       {"upper(s)", "lower(s)", "initcap(s)", "reverse(s)", "s || ''", "concat(s, '')",
        "concat_ws(',', s)", "repeat(s, 1)", "replace(s, 'b', 'a')", "translate(s, 'b', 'a')",
        "lpad('', length(s), 'b')", "rpad('', length(s), 'b')", "lpad(s, length(s) + 1, 'b')",
        "regexp_replace(s, 'b', 'a', 'g')", "url_encode(s)", "url_decode(s)"}) {
    const auto expression = Expression::Compile(text, schema);
    ASSERT_TRUE(expression) << text;
    const bool grows = std::string_view(text).find("+ 1") != std::string_view::npos;
    const std::string longest((8 << 10) - (grows ? 1 : 0), 'b');
    const auto of = [&](const std::string& s) {
      return expression->Evaluate(std::vector<Value>{Value::String(s)});
    };
    EXPECT_EQ(of(longest).as_text().size(), 8U << 10) << text;
    EXPECT_EQ(expression->errors(), 0U) << text;
    EXPECT_TRUE(of(longest + "b").is_null()) << text;
    EXPECT_TRUE(of(std::string(1 << 20, 'b')).is_null()) << text;
    EXPECT_EQ(expression->errors(), 2U) << text;
  }
  for (const char* text : {"to_base64(s)", "to_hex(s)"}) {
    const auto expression = Expression::Compile(text, schema);
    ASSERT_TRUE(expression) << text;
    EXPECT_TRUE(expression->Evaluate(std::vector<Value>{Value::String(std::string(7 << 10, 'b'))})
                    .is_null())
        << text;
    EXPECT_EQ(expression->errors(), 1U) << text;
  }
}

TEST(Expression, CaseTakesOnlyTheChosenBranchsFailure) {
  auto schema =
      std::make_shared<const columns::Schema>(std::vector<columns::Field>{{1, "n", Type::kInt64}});
  auto expression = Expression::Compile("CASE WHEN n <> 0 THEN 10 / n ELSE 0 END", schema);
  ASSERT_TRUE(expression);
  EXPECT_EQ(expression->Evaluate(std::vector<Value>{Value::Int64(0)}).ToJson(), "0.0");
  EXPECT_EQ(expression->errors(), 0U);
  auto plain = Expression::Compile("10 / n", schema);
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->Evaluate(std::vector<Value>{Value::Int64(0)}).ToJson(), "null");
  EXPECT_EQ(plain->Evaluate(std::vector<Value>{Value::Null(Type::kInt64)}).ToJson(), "null");
  EXPECT_EQ(plain->errors(), 1U) << "a NULL that came in is no failure";
}

TEST(Expression, ColumnReferenceSharesItsBuffers) {
  auto schema =
      std::make_shared<const columns::Schema>(std::vector<columns::Field>{{1, "n", Type::kInt64}});
  columns::BatchBuilder builder(schema);
  for (int i = 0; i < 10; ++i) builder.column(0).AppendInt(i);
  const ColumnBatch batch = builder.Finish();
  auto expression = Expression::Compile("n", schema);
  ASSERT_TRUE(expression);
  EXPECT_EQ(expression->Evaluate(batch).values().data(), batch.column(0).values().data());
}

TEST(Expression, QuotedAndQualifiedNames) {
  auto schema = std::make_shared<const columns::Schema>(
      std::vector<columns::Field>{{1, "origin.mean_delay_1h", Type::kFloat64},
                                  {2, "odd name", Type::kInt64},
                                  {3, "date", Type::kTimestamp}});
  auto expression = Expression::Compile("origin.mean_delay_1h + \"odd name\"", schema);
  ASSERT_TRUE(expression) << expression.error().message;
  EXPECT_EQ(expression->inputs(), (std::vector<size_t>{0, 1}));
  EXPECT_TRUE(Expression::Compile("date > TIMESTAMP '2001-01-01'", schema));
}

struct Mistake {
  std::string_view text;
  std::string_view message;
  std::string_view marked;
};

TEST(Expression, MistakesSayWhereAndWhat) {
  const Mistake mistakes[] = {
      {"", "the text ends where a value should be", ""},
      {"1 +", "the text ends where a value should be", ""},
      {"(1", "the text ends where ) should be", ""},
      {"1 2", "`2` where the end should be", "2"},
      {"1 + * 2", "`*` where a value should be", "*"},
      {"'abc", "the quoted text has no end", "'abc"},
      {"a ? b", "`?` means nothing here", "?"},
      {"delai > 1", "no column `delai`", "delai"},
      {"now()",
       "now() is not in this version: the only `now` is the answer's as_of, which an expression "
       "can't see; use windows or max_lag",
       "now()"},
      {"sum(1)",
       "sum() is an aggregate: it stands alone as a feature; combine features under on_request",
       "sum(1)"},
      {"lowr('a')", "no function lowr()", "lowr"},
      {"substr('a')", "substr has 1 argument; write substr(text, start, length)", "substr('a')"},
      {"'a' + 1", "`+` can't take string and int64", "'a' + 1"},
      {"1 AND TRUE", "a condition is wanted, this is int64", "1"},
      {"TIMESTAMP 'noon'", "'noon' is no timestamp", "TIMESTAMP 'noon'"},
      {"TIMESTAMP '2001-01-01' > '2001'",
       "timestamp and string do not go together; write TIMESTAMP '2001-01-01T00:00:00Z' or DATE "
       "'2001-01-01'",
       "TIMESTAMP '2001-01-01' > '2001'"},
      {"3parsecs", "`3parsecs` is neither a number nor a span of time such as 3s or 1h",
       "3parsecs"},
      {"99999999999999999999",
       "99999999999999999999 is no int64; write 99999999999999999999.0 for a float",
       "99999999999999999999"},
      {"CASE WHEN TRUE THEN 1", "the text ends where WHEN, ELSE or END should be", ""},
      {"CASE WHEN TRUE THEN 1 ELSE 'a' END", "int64 and string do not go together",
       "CASE WHEN TRUE THEN 1 ELSE 'a' END"},
      {"regexp_match('a', '(')", "no regular expression: missing ): (", "'('"},
      {"1 IS 2", "`2` where NULL or DISTINCT FROM should be", "2"},
      {"CAST(1 AS money)", "no type `money`", "CAST(1 AS money)"},
      {"NOT 3", "a condition is wanted, this is int64", "3"},
  };
  auto schema = std::make_shared<const columns::Schema>(
      std::vector<columns::Field>{{1, "delay", Type::kInt64}});
  for (const Mistake& mistake : mistakes) {
    auto expression = Expression::Compile(mistake.text, schema);
    ASSERT_FALSE(expression) << mistake.text;
    const ExpressionError& error = expression.error();
    EXPECT_EQ(error.message, mistake.message) << mistake.text;
    EXPECT_LE(error.begin, error.end);
    const size_t begin = std::min(error.begin, mistake.text.size());
    EXPECT_EQ(mistake.text.substr(begin, error.end - error.begin), mistake.marked) << mistake.text;
  }
  EXPECT_EQ(Expression::Compile("delai", schema).error().candidates,
            std::vector<std::string>{"delay"});
}

TEST(Expression, TextsThatAreMadeAreBounded) {
  const std::string kilobyte = "'" + std::string(1024, 'x') + "'";
  std::string eight = kilobyte;
  for (int i = 1; i < 8; ++i) eight += " || " + kilobyte;
  EXPECT_EQ(Calculate("length(" + eight + ")"), "8192");
  EXPECT_EQ(Calculate("length(" + eight + " || 'x')"), "null");
}

// A column has room for 2 GiB of text; here for ten bytes.
TEST(Expression, TextsThatHaveNoRoomAreNull) {
  std::vector<Step> steps(1);
  steps[0].type = {Type::kString};
  Frame frame(steps, 5);
  frame.set_rows(5);
  const std::vector<std::string_view> texts = {"abcd", "", "efgh", "ijk", "l"};
  const std::vector<uint8_t> nulls = {kIsPresent, kIsNull, kIsPresent, kIsPresent, kIsPresent};
  frame.Borrow(0, texts.data(), 1);
  frame.SetNulls(0, nulls.data());
  OutputColumn output(Type::kString, 5, 10);
  output.Append(frame, 0);
  EXPECT_EQ(output.lost(), 2U) << "also what would have fitted behind the first";
  const Column column = output.Finish();
  std::string shown;
  for (size_t row = 0; row < 5; ++row) shown += column.At(row).ToJson() + " ";
  EXPECT_EQ(shown, "\"abcd\" null \"efgh\" null null ");
}

TEST(Expression, DepthAndLengthAreBounded) {
  EXPECT_EQ(Calculate(std::string(1000, '(') + "1" + std::string(1000, ')')),
            "error: nested deeper than 60");
  EXPECT_EQ(Calculate(std::string(20'000, ' ')),
            "error: the expression has 20000 bytes; at most 16384 are read");
  std::string sum = "1";
  for (int i = 0; i < 1000; ++i) sum += "+1";
  EXPECT_EQ(Calculate(sum), "error: more than 300 operators in a row");
  EXPECT_TRUE(Calculate(std::string(500, '-') + "1").starts_with("error: nested"));
}

// Column by column and row by row give the same bits, for programs and data that nobody chose.
TEST(ExpressionProperty, ColumnsAndRowsAgree) {
  const uint64_t seed = testing::UnitTest::GetInstance()->random_seed() + 20010101;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  RandomExpressions random(seed);
  size_t compiled = 0;
  for (int round = 0; round < 4000; ++round) {
    const std::string text = random.Text();
    auto expression = Expression::Compile(text, random.schema());
    if (!expression) continue;
    ++compiled;
    const ColumnBatch batch = random.Batch(round % 50 == 0 ? 2500 : 17);
    const Column column = expression->Evaluate(batch);
    ASSERT_EQ(column.length(), batch.rows());
    ASSERT_EQ(column.type(), expression->type());
    const uint64_t errors = expression->errors();
    for (size_t row = 0; row < batch.rows(); ++row) {
      std::vector<Value> values;
      for (const Column& input : batch.columns()) values.push_back(input.At(row));
      const Value value = expression->Evaluate(values);
      ASSERT_TRUE(value.SameBits(column.At(row)))
          << text << " row " << row << ": " << value.ToJson() << " and " << column.At(row).ToJson();
    }
    ASSERT_EQ(expression->errors(), 2 * errors) << text;
  }
  EXPECT_GT(compiled, 1500U) << "too few random programs have fitting types to prove anything";
}

TEST(ExpressionProperty, EveryFunctionIsTried) {
  std::string forms;
  for (const std::string& form : RandomExpressions::Forms()) forms += form + " ";
  for (const FunctionRow* row : FunctionTable())
    EXPECT_NE(forms.find(std::string(row->name) + "("), std::string::npos)
        << row->name << " is in no form of random_expression.h";
}

// Each form alone, so that none is right only because its arguments rarely fit.
TEST(ExpressionProperty, EveryFormCompiles) {
  const uint64_t seed = testing::UnitTest::GetInstance()->random_seed() + 3;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  RandomExpressions random(seed);
  for (const std::string& form : RandomExpressions::Forms()) {
    bool compiled = false;
    for (int i = 0; i < 200 && !compiled; ++i)
      compiled = Expression::Compile(random.FormText(form), random.schema()).has_value();
    EXPECT_TRUE(compiled) << form;
  }
}

TEST(ExpressionProperty, AnyBytesCompileOrSayWhy) {
  const uint64_t seed = testing::UnitTest::GetInstance()->random_seed() + 7;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  RandomExpressions random(seed);
  for (int round = 0; round < 20'000; ++round) {
    const std::string text = round % 2 == 0 ? random.Bytes() : random.Damaged();
    auto expression = Expression::Compile(text, random.schema());
    if (expression) continue;
    EXPECT_FALSE(expression.error().message.empty());
    EXPECT_LT(expression.error().begin, text.size() + 1);
  }
}

}  // namespace
}  // namespace headrace::pipeline
