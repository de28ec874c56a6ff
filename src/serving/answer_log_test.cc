#include "serving/answer_log.h"

#include <gtest/gtest.h>

#include <bit>
#include <random>

namespace headrace::serving {
namespace {

using columns::Type;
using columns::Value;
using pipeline::FeatureStatus;

FeatureAnswer TwoRows() {
  FeatureAnswer answer;
  answer.log.bytes.fill(0xab);
  answer.epoch = {7};
  answer.as_of = {978'307'260'000'000};
  answer.definition = {0x0123'4567'89ab'cdef};
  answer.lag = base::Duration(15);
  answer.rows = 2;
  answer.inputs = {{"origin", {Value::String("O\"R\nD"), Value::String("DFW")}}};
  answer.columns = std::make_shared<const std::vector<AnswerColumn>>(std::vector<AnswerColumn>{
      {"origin", "flights_1h", Type::kInt64}, {"", "trend", Type::kFloat64}});
  answer.values = {Value::Int64(12), Value::Float64(-0.0), Value::Null(Type::kInt64),
                   Value::Float64(0.1)};
  answer.statuses = {FeatureStatus::kPresent, FeatureStatus::kPresent, FeatureStatus::kNullValue,
                     FeatureStatus::kOutsideMaxAge};
  return answer;
}

std::vector<ServedAnswer> Lines(const std::string& text) {
  std::vector<ServedAnswer> answers;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    auto answer = ParseAnswerLine(std::string_view(text).substr(begin, end - begin));
    EXPECT_TRUE(answer) << answer.error().ToString();
    if (answer) answers.push_back(std::move(*answer));
    begin = end + 1;
  }
  return answers;
}

TEST(AnswerLog, ReadsBackTheEventOfAPush) {
  FeatureAnswer answer = TwoRows();
  for (const std::optional<uint32_t> row :
       {std::optional<uint32_t>(17), std::optional<uint32_t>()}) {
    answer.own = pipeline::OwnRow{"pay\"ments", {8}, {-5}, row};
    std::string text;
    AppendAnswerLines(answer, text);
    const auto lines = Lines(text);
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_EQ(lines[0].own, answer.own);
    EXPECT_EQ(lines[1].values.size(), 2U);
  }
  std::string torn;
  AppendAnswerLines(answer, torn);
  torn = torn.substr(0, torn.find('\n'));
  for (size_t size = 0; size < torn.size(); ++size)
    EXPECT_FALSE(ParseAnswerLine(std::string_view(torn).substr(0, size))) << size;
  answer.own = std::nullopt;
  std::string text;
  AppendAnswerLines(answer, text);
  EXPECT_EQ(Lines(text)[0].own, std::nullopt);
}

TEST(AnswerLog, ReadsBackLists) {
  FeatureAnswer answer = TwoRows();
  answer.columns = std::make_shared<const std::vector<AnswerColumn>>(
      std::vector<AnswerColumn>{{"origin", "recent_1h", columns::ListOf(Type::kString)},
                                {"origin", "counts_1h", columns::ListOf(Type::kInt64)}});
  answer.values = {Value::List(Type::kString, {Value::String("a]\"b"), Value::String("")}),
                   Value::List(Type::kInt64, {Value::Int64(3), Value::Int64(-1)}),
                   Value::Null(columns::ListOf(Type::kString)), Value::List(Type::kInt64, {})};
  std::string text;
  AppendAnswerLines(answer, text);
  const auto lines = Lines(text);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].values, (std::vector<std::string>{R"(["a]\"b",""])", "[3,-1]"}));
  EXPECT_EQ(lines[1].values, (std::vector<std::string>{"null", "[]"}));
  EXPECT_EQ(lines[1].statuses[1], FeatureStatus::kOutsideMaxAge);
}

TEST(AnswerLog, ReadsBackWhatItWrote) {
  std::string text;
  AppendAnswerLines(TwoRows(), text);
  const auto lines = Lines(text);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].log, TwoRows().log);
  EXPECT_EQ(lines[0].definition, TwoRows().definition);
  EXPECT_EQ(lines[0].epoch.value, 7U);
  EXPECT_EQ(lines[0].as_of, TwoRows().as_of);
  EXPECT_EQ(lines[0].lag.count(), 15);
  EXPECT_EQ(lines[0].features, (std::vector<std::string>{"origin.flights_1h", "trend"}));
  const auto origin = ScalarFromJson(lines[0].inputs[0].second);
  ASSERT_TRUE(origin);
  EXPECT_EQ(origin->as_text(), "O\"R\nD");
  EXPECT_EQ(lines[1].values, (std::vector<std::string>{"null", "0.1"}));
  EXPECT_EQ(lines[1].statuses[1], FeatureStatus::kOutsideMaxAge);
}

TEST(AnswerLog, DifferentBitsAreDifferentText) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int i = 0; i < 10'000; ++i) {
    const uint64_t bits = random();
    const double a = std::bit_cast<double>(bits);
    const double b = std::bit_cast<double>(bits ^ (1ULL << (random() % 64)));
    if (a != a || b != b) continue;
    EXPECT_NE(Value::Float64(a).ToJson(), Value::Float64(b).ToJson());
    const auto back = ScalarFromJson(Value::Float64(a).ToJson());
    ASSERT_TRUE(back);
    if (back->type() == Type::kFloat64) {
      EXPECT_TRUE(back->SameBits(Value::Float64(a)));
    }
  }
}

TEST(AnswerLog, RefusesATornLine) {
  std::string text;
  AppendAnswerLines(TwoRows(), text);
  const std::string line = text.substr(0, text.find('\n'));
  for (size_t size = 0; size < line.size(); ++size)
    EXPECT_FALSE(ParseAnswerLine(std::string_view(line).substr(0, size))) << size;
}

}  // namespace
}  // namespace headrace::serving
