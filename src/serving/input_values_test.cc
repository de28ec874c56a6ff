#include "serving/input_values.h"

#include <gtest/gtest.h>

#include <limits>

namespace headrace::serving {
namespace {

using columns::Type;
using columns::Value;

std::string Converted(const Value& given, Type wanted) {
  const auto value = ConvertInput(given, wanted);
  if (!value) return "refused";
  EXPECT_EQ(value->type(), wanted);
  return value->ToJson();
}

TEST(InputValuesTest, ConvertsWhatLosesNothing) {
  EXPECT_EQ(Converted(Value::Float64(5.0), Type::kInt64), "5");
  EXPECT_EQ(Converted(Value::Int64(5), Type::kFloat64), "5.0");
  EXPECT_EQ(Converted(Value::Int64(5), Type::kInt32), "5");
  EXPECT_EQ(Converted(Value::Int64(16'777'217), Type::kFloat32), "16777216.0") << "as a row has it";
  EXPECT_EQ(Converted(Value::String("5"), Type::kInt64), "5");
  EXPECT_EQ(Converted(Value::String("2001-01-01T00:00:00Z"), Type::kTimestamp),
            "\"2001-01-01T00:00:00Z\"");
  EXPECT_EQ(Converted(Value::Bool(true), Type::kBool), "true");
  EXPECT_EQ(Converted(Value(), Type::kString), "null");
}

// JSON has them as base64, RESP as they are.
TEST(InputValuesTest, BytesAreBase64WhereTheyComeAsText) {
  const Value token(Type::kBytes, std::string("\1\2\3"));
  EXPECT_EQ(Converted(Value::String("AQID"), Type::kBytes), token.ToJson());
  EXPECT_EQ(Converted(token, Type::kBytes), token.ToJson());
  EXPECT_EQ(Converted(Value::String("a token"), Type::kBytes), "refused");
  EXPECT_EQ(Converted(Value(Type::kBytes, std::string("5")), Type::kInt64), "5");
}

TEST(InputValuesTest, RefusesTheRest) {
  EXPECT_EQ(Converted(Value::Float64(5.5), Type::kInt64), "refused");
  EXPECT_EQ(Converted(Value::Float64(1e300), Type::kInt64), "refused");
  EXPECT_EQ(Converted(Value::Float64(1e300), Type::kFloat32), "refused");
  EXPECT_EQ(Converted(Value::String("-1e300"), Type::kFloat32), "refused");
  EXPECT_EQ(Converted(Value::Int64(1LL << 40), Type::kInt32), "refused");
  EXPECT_EQ(Converted(Value::Int64((1LL << 53) + 1), Type::kFloat64), "refused");
  EXPECT_EQ(Converted(Value::Int64(5), Type::kString), "refused");
  EXPECT_EQ(Converted(Value::Bool(true), Type::kInt64), "refused");
  EXPECT_EQ(Converted(Value::String("five"), Type::kInt64), "refused");
}

Value Date(int64_t days) { return {Type::kDate, days}; }
Value Moment(Type type, int64_t us) { return {type, us}; }

// As columns of labels and of Arrow batches have them.
TEST(InputValuesTest, ADateIsItsMidnight) {
  EXPECT_EQ(Converted(Date(19'723), Type::kDate), "\"2024-01-01\"");
  EXPECT_EQ(Converted(Date(19'723), Type::kTimestamp), "\"2024-01-01T00:00:00Z\"");
  EXPECT_EQ(Converted(Date(19'723), Type::kTimestampNtz), "\"2024-01-01T00:00:00\"");
  EXPECT_EQ(Converted(Date(-1), Type::kTimestamp), "\"1969-12-31T00:00:00Z\"");
  EXPECT_EQ(Converted(Date(std::numeric_limits<int32_t>::max()), Type::kTimestamp), "refused");
  EXPECT_EQ(Converted(Date(std::numeric_limits<int32_t>::min()), Type::kTimestampNtz), "refused");
}

TEST(InputValuesTest, AMomentIsNoNumberAndATimeNoDate) {
  for (const Type type : {Type::kDate, Type::kTimestamp, Type::kTimestampNtz}) {
    const Value moment = Moment(type, 5);
    for (const Type number : {Type::kInt32, Type::kInt64, Type::kFloat32, Type::kFloat64,
                              Type::kBool, Type::kString, Type::kBytes})
      EXPECT_EQ(Converted(moment, number), "refused") << columns::NameOf(type);
    EXPECT_EQ(Converted(moment, Type::kDate), type == Type::kDate ? "\"1970-01-06\"" : "refused");
  }
  EXPECT_EQ(Converted(Moment(Type::kTimestamp, 5), Type::kTimestampNtz),
            "\"1970-01-01T00:00:00.000005\"");
  EXPECT_EQ(Converted(Moment(Type::kTimestampNtz, 5), Type::kTimestamp),
            "\"1970-01-01T00:00:00.000005Z\"");
}

TEST(InputValuesTest, AListIsNoValue) {
  EXPECT_EQ(Converted(Value::List(Type::kInt64, {Value::Int64(5)}), Type::kInt64), "refused");
}

}  // namespace
}  // namespace headrace::serving
