#include "serving/input_values.h"

#include <gtest/gtest.h>

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
  EXPECT_EQ(Converted(Value::String("5"), Type::kInt64), "5");
  EXPECT_EQ(Converted(Value::String("2001-01-01T00:00:00Z"), Type::kTimestamp),
            "\"2001-01-01T00:00:00Z\"");
  EXPECT_EQ(Converted(Value::Bool(true), Type::kBool), "true");
  EXPECT_EQ(Converted(Value(), Type::kString), "null");
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

}  // namespace
}  // namespace headrace::serving
