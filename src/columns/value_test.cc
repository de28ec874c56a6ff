#include "columns/value.h"

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace headrace::columns {
namespace {

TEST(Value, JsonOfEachKind) {
  EXPECT_EQ(Value::Null(Type::kInt64).ToJson(), "null");
  EXPECT_EQ(Value::Bool(true).ToJson(), "true");
  EXPECT_EQ(Value::Int64(-7).ToJson(), "-7");
  EXPECT_EQ(Value::Float64(3).ToJson(), "3.0");
  EXPECT_EQ(Value::Float64(0.1).ToJson(), "0.1");
  EXPECT_EQ(Value::Float64(1e300).ToJson(), "1e+300");
  EXPECT_EQ(Value::Float64(std::nan("")).ToJson(), "\"NaN\"");
  EXPECT_EQ(Value::Float64(-std::numeric_limits<double>::infinity()).ToJson(), "\"-Infinity\"");
  EXPECT_EQ(Value(Type::kFloat32, double{0.1F}).ToJson(), "0.10000000149011612");
  EXPECT_EQ(Value::Timestamp(1'500'000).ToJson(), "\"1970-01-01T00:00:01.500Z\"");
  EXPECT_EQ(Value(Type::kDate, int64_t{11'323}).ToJson(), "\"2001-01-01\"");
  EXPECT_EQ(Value(Type::kBytes, std::string("\x01\x02")).ToJson(), "\"AQI=\"");
}

TEST(Value, ListsAreComparedAndWrittenElementByElement) {
  const Value list = Value::List(Type::kString, {Value::String("a\""), Value::String("")});
  EXPECT_EQ(list.type(), ListOf(Type::kString));
  EXPECT_EQ(NameOf(list.type()), "list<string>");
  EXPECT_EQ(list.ToJson(), "[\"a\\\"\",\"\"]");
  EXPECT_EQ(Value::List(Type::kInt64, {}).ToJson(), "[]");
  EXPECT_TRUE(list.SameBits(Value::List(Type::kString, {Value::String("a\""), Value::String("")})));
  EXPECT_FALSE(list.SameBits(Value::List(Type::kString, {Value::String("a\"")})));
  EXPECT_FALSE(list.SameBits(Value::Null(ListOf(Type::kString))));
  const auto one = [](double v) { return Value::List(Type::kFloat64, {Value::Float64(v)}); };
  EXPECT_FALSE(one(0.0).SameBits(one(-0.0)));
  EXPECT_TRUE(one(std::nan("")).SameBits(one(std::nan(""))));
  EXPECT_FALSE(Value::FromText(ListOf(Type::kInt64), "[1]").has_value());
}

TEST(Value, CopiesAreTheirOwn) {
  const std::vector<Value> kinds = {
      Value(),
      Value::Bool(true),
      Value::Int64(-7),
      Value::Float64(0.5),
      Value::String(std::string(100, 'a')),
      Value::List(Type::kString, {Value::String("b"), Value::String(std::string(100, 'c'))})};
  for (const Value& from : kinds) {
    for (const Value& to : kinds) {
      Value copied = to;
      copied = from;
      EXPECT_TRUE(copied.SameBits(from));
      Value moved = to;
      moved = std::move(copied);
      EXPECT_TRUE(moved.SameBits(from));
      const Value made = std::move(moved);
      EXPECT_TRUE(made.SameBits(from));
    }
    Value same = from;
    const Value& itself = same;
    same = itself;
    EXPECT_TRUE(same.SameBits(from));
  }
  Value list = kinds.back();
  list = list.as_list()[1];
  EXPECT_EQ(list.as_text(), std::string(100, 'c'));
  std::vector<Value> grown(kinds.begin(), kinds.end());
  grown.insert(grown.begin(), kinds.begin(), kinds.end());
  for (size_t i = 0; i < grown.size(); ++i) EXPECT_TRUE(grown[i].SameBits(kinds[i % kinds.size()]));
}

TEST(Value, JsonStringsEscapeAndMendBadUtf8) {
  std::string out;
  AppendJsonString(out, "a\"\\\n\x01 \xC3\xA9 \xFF\xC3");
  EXPECT_EQ(out, "\"a\\\"\\\\\\n\\u0001 \xC3\xA9 \\ufffd\\ufffd\"");
}

TEST(Value, CommandLineTextIsTypedOrRefused) {
  EXPECT_TRUE(Value::FromText(Type::kInt64, "120")->SameBits(Value::Int64(120)));
  EXPECT_TRUE(Value::FromText(Type::kTimestamp, "1970-01-01T00:00:01Z")
                  ->SameBits(Value::Timestamp(1'000'000)));
  EXPECT_FALSE(Value::FromText(Type::kInt64, "12x").has_value());
  EXPECT_FALSE(Value::FromText(Type::kInt32, "3000000000").has_value());
  EXPECT_FALSE(Value::FromText(Type::kBool, "yes").has_value());
  EXPECT_FALSE(Value::FromText(Type::kFloat32, "1e300").has_value());
}

TEST(Value, SameBitsTellsZerosApart) {
  EXPECT_FALSE(Value::Float64(0.0).SameBits(Value::Float64(-0.0)));
  EXPECT_FALSE(Value::Int64(1).SameBits(Value::Timestamp(1)));
}

TEST(Value, ShortestDigitsAreThoseOfToChars) {
  const auto general = [](double v) {
    std::array<char, 64> text{};
    return std::string(text.data(), std::to_chars(text.data(), text.data() + text.size(), v).ptr);
  };
  std::vector<double> values = {0.0,
                                -0.0,
                                0.001,
                                0.009,
                                0.01,
                                0.011,
                                0.1,
                                0.3,
                                1.0,
                                9999,
                                10'000,
                                10'001,
                                12'000,
                                100'000,
                                123'000,
                                1e9,
                                1e11,
                                1e12 - 1,
                                1e12,
                                1e12 + 1,
                                999'999'999'999.999,
                                0.1 + 0.2,
                                1.0005,
                                1234.5678,
                                5e-324,
                                1.7976931348623157e308};
  std::mt19937_64 random(7);
  for (int i = 0; i < 200'000; ++i) {
    const auto digits = static_cast<double>(random() % 1'000'000'000'000'000);
    const double scale = std::array{1.0, 10.0, 100.0, 1000.0, 1e4, 1e6, 1e9}[random() % 7];
    values.push_back(digits / scale);
    values.push_back(static_cast<double>(random() % 100'000) * 100 / scale);
    values.push_back(std::bit_cast<double>(random()));
    values.push_back(std::nextafter(digits / scale, 0.0));
  }
  for (const double v : values) {
    if (!std::isfinite(v)) continue;
    for (const double signed_value : {v, -v}) {
      std::string text;
      AppendShortest(text, signed_value);
      ASSERT_EQ(text, general(signed_value));
      const bool marked = text.find_first_of(".e") != std::string::npos;
      ASSERT_EQ(Value::Float64(signed_value).ToJson(), marked ? text : text + ".0");
    }
  }
}

}  // namespace
}  // namespace headrace::columns
