#include "serving/http/answer_json.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

namespace headrace::serving {
namespace {

using columns::Type;
using columns::Value;
using nlohmann::json;
using pipeline::FeatureStatus;

constexpr std::array kStatuses = {FeatureStatus::kPresent, FeatureStatus::kNullValue,
                                  FeatureStatus::kNotFound, FeatureStatus::kOutsideMaxAge,
                                  FeatureStatus::kInvalid};

class Answers {
 public:
  explicit Answers(uint64_t seed) : dice_(seed) {}

  FeatureAnswer Next() {
    FeatureAnswer answer;
    answer.rows = dice_() % 40;
    answer.epoch = base::EpochId{dice_() % 1000};
    answer.as_of = base::Timestamp{static_cast<int64_t>(dice_() % 2'000'000'000'000'000)};
    answer.inputs = {{"key", {}}, {"only \"now\"", {}, InputColumn::Use::kRequestInput}};
    auto columns = std::make_shared<std::vector<AnswerColumn>>();
    for (uint64_t i = dice_() % 12; i > 0; --i) {
      const std::string name = "f\n" + std::to_string(i);
      columns->push_back({"v" + std::to_string(i % 3), name, Type::kInt64, name, "v__" + name});
    }
    // Columns mostly say the same as the one before, all of it or some; rows may have one time
    // each.
    std::vector<bool> as_before, values_as_before;
    for (size_t i = 0; i < columns->size(); ++i) {
      as_before.push_back(i > 0 && dice_() % 2 == 0);
      values_as_before.push_back(i > 0 && dice_() % 3 == 0);
    }
    const bool row_times = dice_() % 2 == 0;
    for (size_t row = 0; row < answer.rows; ++row) {
      answer.inputs[0].values.push_back(Any());
      if (row_times) answer.event_times.push_back(Time());
      for (size_t i = 0; i < columns->size(); ++i) {
        const bool same_value = values_as_before[i] || (i > 0 && dice_() % 2 == 0);
        answer.values.push_back(same_value ? answer.values.back() : Any());
        const auto status = kStatuses[dice_() % 3 == 0 ? dice_() % kStatuses.size() : 0];
        answer.statuses.push_back(as_before[i] ? answer.statuses.back() : status);
        if (!row_times)
          answer.event_times.push_back(as_before[i] ? answer.event_times.back() : Time());
      }
    }
    answer.columns = std::move(columns);
    return answer;
  }

 private:
  std::optional<base::Timestamp> Time() {
    if (dice_() % 4 == 0) return std::nullopt;
    return base::Timestamp{static_cast<int64_t>(dice_() % 3) * 1'234'567 + 1'000'000'000'000};
  }
  Value Any() {
    switch (dice_() % 10) {
      case 0: return Value::Null(Type::kFloat64);
      case 1: return Value::Int64(static_cast<int64_t>(dice_()));
      case 2: return Value::Float64(static_cast<double>(dice_()) / 1024);
      case 3: return Value::Float64(static_cast<double>(dice_() % 10'000) / 4);
      case 4: return Value::Float64(dice_() % 2 == 0 ? HUGE_VAL : std::nan(""));
      case 5: return Value::String(std::string(dice_() % 200, 'a') + "\"\\\n,");
      case 6: return Value::Bool(dice_() % 2 == 0);
      case 7: return Value::Timestamp(static_cast<int64_t>(dice_() % 4'000'000'000'000) - 7);
      case 8: return Value(Type::kBytes, std::string(dice_() % 9, '\xff'));
      default: return Value::List(Type::kString, {Value::String("a"), Value::String("]")});
    }
  }
  std::mt19937_64 dice_;
};

void ExpectColumn(const json& result, const FeatureAnswer& answer, size_t column, StatusMode mode) {
  ASSERT_EQ(result["values"].size(), answer.rows);
  for (size_t row = 0; row < answer.rows; ++row) {
    const size_t at = answer.At(row, column);
    FeatureStatus status = answer.statuses[at];
    if (mode == StatusMode::kFeast &&
        (status == FeatureStatus::kNullValue || status == FeatureStatus::kOutsideMaxAge))
      status = FeatureStatus::kPresent;
    EXPECT_EQ(result["statuses"][row], std::string(pipeline::NameOf(status)));
    const Value& value = answer.values[at];
    json wanted;
    if (status == FeatureStatus::kPresent) wanted = json::parse(value.ToJson());
    if (mode == StatusMode::kFeast && wanted.is_string() && value.type() == Type::kTimestamp)
      wanted = static_cast<int64_t>(std::floor(static_cast<double>(value.as_int()) / 1e6));
    EXPECT_EQ(result["values"][row], wanted);
    const auto time = answer.EventTime(row, column);
    EXPECT_EQ(result["event_timestamps"][row],
              time ? base::FormatTimestamp(*time) : "1970-01-01T00:00:00Z");
  }
}

// One after the other, so that what is kept of one plan must not be told of the next.
TEST(AnswerJsonTest, SaysWhatTheAnswerHolds) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Answers answers(seed);
    const FeatureAnswer answer = answers.Next();
    FeastRequest request;
    request.mode = seed % 2 == 0 ? StatusMode::kFeast : StatusMode::kStrict;
    for (int again = 0; again < 3; ++again) {
      request.full_feature_names = again > 0;
      const json told = json::parse(FeastAnswerJson(answer, request));
      ASSERT_EQ(told["results"].size(), 1 + answer.columns->size());
      EXPECT_EQ(told["metadata"]["feature_names"][0], "key");
      for (size_t i = 0; i < answer.columns->size(); ++i) {
        const AnswerColumn& column = (*answer.columns)[i];
        EXPECT_EQ(told["metadata"]["feature_names"][1 + i], again > 0 ? column.full : column.shown);
        ExpectColumn(told["results"][1 + i], answer, i, request.mode);
      }
      for (size_t row = 0; row < answer.rows; ++row)
        EXPECT_EQ(told["results"][0]["values"][row],
                  json::parse(answer.inputs[0].values[row].ToJson()));
      EXPECT_EQ(told["headrace"]["epoch"], answer.epoch.value);
      EXPECT_EQ(told["headrace"]["as_of"], base::FormatTimestamp(answer.as_of));
    }
  }
}

// The bits say whether a number is that of the column before.
TEST(AnswerJsonTest, WritesNumbersAtTheirEdges) {
  const std::array numbers = {
      0.0,      -0.0,     -0.0,   5e-324, 1e300, 1e300,          -1.7976931348623157e308,
      12.0,     12.0,     1234.5, 0.1,    1e20,  123456789012.0, std::nan(""),
      HUGE_VAL, -HUGE_VAL};
  FeatureAnswer answer;
  answer.rows = 1;
  answer.event_times = {std::nullopt};
  auto columns = std::make_shared<std::vector<AnswerColumn>>();
  for (const double number : numbers) {
    columns->push_back({"v", "f", Type::kFloat64, "f", "v__f"});
    answer.values.push_back(Value::Float64(number));
    answer.statuses.push_back(FeatureStatus::kPresent);
  }
  answer.columns = std::move(columns);
  const std::string text = FeastAnswerJson(answer, {});
  std::string told;
  const std::string_view begin = R"({"values":[)";
  for (size_t at = 0; (at = text.find(begin, at)) != std::string::npos;) {
    at += begin.size();
    told += text.substr(at, text.find(']', at) - at) + " ";
  }
  EXPECT_EQ(told,
            "0.0 -0.0 -0.0 5e-324 1e+300 1e+300 -1.7976931348623157e+308 12.0 12.0 1234.5 0.1 "
            "1e+20 123456789012.0 \"NaN\" \"Infinity\" \"-Infinity\" ");
}

}  // namespace
}  // namespace headrace::serving
