#include "ingest/http/json_row_reader.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>

#include "columns/value.h"

namespace headrace::ingest {
namespace {

using columns::Nullable;
using columns::Type;
using columns::Value;

columns::SchemaRef EveryType() {
  return std::make_shared<const columns::Schema>(std::vector<columns::Field>{
      {1, "flag", Type::kBool, Nullable::kYes},
      {2, "small", Type::kInt32, Nullable::kYes},
      {3, "id", Type::kInt64, Nullable::kNo},
      {4, "half", Type::kFloat32, Nullable::kYes},
      {5, "price", Type::kFloat64, Nullable::kYes},
      {6, "name", Type::kString, Nullable::kYes},
      {7, "blob", Type::kBytes, Nullable::kYes},
      {8, "day", Type::kDate, Nullable::kYes},
      {9, "at", Type::kTimestamp, Nullable::kYes},
      {10, "local", Type::kTimestampNtz, Nullable::kYes},
  });
}

// Reads one row; the batch then has one row, or none and a problem.
struct OneRow {
  explicit OneRow(std::string_view row) : builder(EveryType()) {
    const contract::EventShape shape = contract::FlatShape(*EveryType());
    JsonRowReader reader(EveryType(), shape);
    problem = reader.Append(row, /*readable_after=*/0, builder);
    batch = builder.Finish();
  }
  Value At(std::string_view field) const {
    EXPECT_EQ(batch.rows(), 1U) << (problem ? problem->reason : "");
    if (batch.rows() != 1) return {};
    return batch.column(*batch.schema()->IndexOf(field)).At(0);
  }
  columns::BatchBuilder builder;
  columns::ColumnBatch batch;
  std::optional<RowProblem> problem;
};

TEST(JsonRowReader, EveryTypeInAnyOrder) {
  const OneRow row(
      R"({"local":"2001-01-31T09:15:00.5","at":"2001-01-31T09:15:00+01:00","day":"1969-12-31",
                       "blob":"AAEC/w==","name":"\u00e9\uD83D\uDE00\n\"x\"","price":-0.0,"half":1.5,"id":-9223372036854775808,
                       "small":-2147483648,"flag":true})");
  EXPECT_EQ(row.At("flag").as_bool(), true);
  EXPECT_EQ(row.At("small").as_int(), INT32_MIN);
  EXPECT_EQ(row.At("id").as_int(), INT64_MIN);
  EXPECT_EQ(row.At("half").as_double(), 1.5);
  EXPECT_TRUE(std::signbit(row.At("price").as_double()));
  EXPECT_EQ(row.At("name").as_text(), "\u00e9\U0001F600\n\"x\"");
  EXPECT_EQ(row.At("blob").as_text(), std::string("\0\1\2\xff", 4));
  EXPECT_EQ(row.At("day").as_int(), -1);
  EXPECT_EQ(row.At("at").ToJson(), "\"2001-01-31T08:15:00Z\"");
  EXPECT_EQ(row.At("local").as_int(), 980'932'500'500'000);
}

TEST(JsonRowReader, MissingAndNullAreNullWhereTheContractAllows) {
  const OneRow row(R"({"id":1,"name":null})");
  EXPECT_TRUE(row.At("name").is_null());
  EXPECT_TRUE(row.At("price").is_null());
  EXPECT_EQ(row.At("id").as_int(), 1);
}

TEST(JsonRowReader, FloatsThatJsonHasNoNumbersFor) {
  EXPECT_TRUE(std::isnan(OneRow(R"({"id":1,"price":"NaN"})").At("price").as_double()));
  EXPECT_EQ(OneRow(R"({"id":1,"half":"-Infinity"})").At("half").as_double(), -INFINITY);
  EXPECT_EQ(OneRow(R"({"id":1,"price":123456789012345678901234567890})").At("price").as_double(),
            123456789012345678901234567890.0);
}

struct Refused {
  std::string_view row;
  std::string_view rule;
  std::string_view field;
  std::string_view reason;  // is part of the reason
};

class Refusals : public ::testing::TestWithParam<Refused> {};

TEST_P(Refusals, SayFieldRuleAndReason) {
  const OneRow row(GetParam().row);
  ASSERT_TRUE(row.problem.has_value());
  EXPECT_EQ(row.batch.rows(), 0U);
  EXPECT_EQ(row.problem->rule, GetParam().rule);
  EXPECT_EQ(row.problem->field, GetParam().field);
  EXPECT_NE(row.problem->reason.find(GetParam().reason), std::string::npos) << row.problem->reason;
}

INSTANTIATE_TEST_SUITE_P(Json, Refusals,
                         ::testing::ValuesIn(std::to_array<Refused>({
                             {R"({"id":1)", "json", "", "no JSON object"},
                             {R"({"id":1}})", "json", "", "follows"},
                             {R"({"id":1} {"id":2})", "json", "", "follows"},
                             {R"({"id" 1})", "json", "", "no JSON object"},
                             {R"({"id":1,,"small":2})", "json", "", "no JSON object"},
                             {R"({"id":1 "small":2})", "json", "", "no JSON object"},
                             {R"({"id":1,})", "json", "", "no JSON object"},
                             {R"({"name":"x})", "json", "", "no JSON object"},
                             {R"({"name":"\q","id":1})", "json", "", "no JSON object"},
                             {"{\"name\":\"\xff\",\"id\":1}", "json", "", "UTF-8"},
                             {"{\"name\":\"a\tb\",\"id\":1}", "json", "", "no JSON object"},
                             {R"([1,2])", "json", "", "no JSON object"},
                             {R"("id")", "json", "", "no JSON object"},
                             {R"(id,name)", "json", "", "no JSON object"},
                             {"{", "json", "", "no JSON object"},
                             {"}", "json", "", "no JSON object"},
                             {R"({"id":NaN})", "json", "", "a word is none of JSON's"},
                             {R"({"id":1,"id":2})", "json", "id", "given twice"},
                         })));

INSTANTIATE_TEST_SUITE_P(
    Type, Refusals,
    ::testing::ValuesIn(std::to_array<Refused>({
        {R"({"id":"7"})", "type", "id", "wants a whole number (int64), but got \"7\""},
        {R"({"id":1.5})", "type", "id", "but got 1.5"},
        {R"({"id":1e3})", "type", "id", "but got 1e3"},
        {R"({"id":01})", "type", "id", "but got 01"},
        {R"({"id":-})", "type", "id", "but got -"},
        {R"({"id":9223372036854775808})", "type", "id", "but got 9223372036854775808"},
        {R"({"id":true})", "type", "id", "but got a bool"},
        {R"({"id":[1]})", "type", "id", "but got an array"},
        {R"({"id":{"a":1}})", "type", "id", "but got an object"},
        {R"({"id":nul})", "type", "id", "whole number"},
        {R"({"small":2147483648,"id":1})", "type", "small", "int32"},
        {R"({"flag":1,"id":1})", "type", "flag", "wants true or false"},
        {R"({"flag":"true","id":1})", "type", "flag", "wants true or false"},
        {R"({"price":"1.5","id":1})", "type", "price", "wants a number (float64)"},
        {R"({"price":1e999,"id":1})", "type", "price", "but got 1e999"},
        {R"({"half":1e39,"id":1})", "type", "half", "float32"},
        {R"({"name":5,"id":1})", "type", "name", "wants text, but got 5"},
        {R"({"name":["ORD"],"id":1})", "type", "name", "wants text, but got an array"},
        {R"({"blob":"A","id":1})", "type", "blob", "base64"},
        {R"({"day":"2001-02-29","id":1})", "type", "day", "a date such as"},
        {R"({"day":"2001-02-01T00:00:00Z","id":1})", "type", "day", "a date such as"},
        {R"({"at":"yesterday","id":1})", "type", "at", "a time such as"},
        {R"({"at":980931300,"id":1})", "type", "at", "a time such as"},
        {R"({"at":"2001-01-31T09:15:00.1234567Z","id":1})", "type", "at", "a time such as"},
        {R"({"local":"2001-01-31T09:15:00Z","id":1})", "type", "local", "without a zone"},
    })));

INSTANTIATE_TEST_SUITE_P(
    Fields, Refusals,
    ::testing::ValuesIn(std::to_array<Refused>({
        {R"({"name":"x"})", "required", "id", "`id` is missing"},
        {R"({})", "required", "id", "`id` is missing"},
        {R"({"id":null})", "required", "id", "`id` is null"},
        {R"({"id":1,"pric":2})", "unknown_field", "pric", "did you mean `price`?"},
        {R"({"id":1,"zzzzzzzz":[{}]})", "unknown_field", "zzzzzzzz", "add it to the contract"},
    })));

TEST(JsonRowReader, ARefusedRowLeavesNoTraceInItsBatch) {
  const contract::EventShape shape = contract::FlatShape(*EveryType());
  JsonRowReader reader(EveryType(), shape);
  columns::BatchBuilder builder(EveryType());
  EXPECT_FALSE(reader.Append(R"({"id":1,"name":"a"})", 0, builder));
  EXPECT_TRUE(reader.Append(R"({"id":2,"name":"b","small":"x"})", 0, builder));
  EXPECT_FALSE(reader.Append(R"({"id":3})", 0, builder));
  const columns::ColumnBatch batch = builder.Finish();
  ASSERT_EQ(batch.rows(), 2U);
  EXPECT_EQ(batch.column(2).At(1).as_int(), 3);
  EXPECT_TRUE(batch.column(5).IsNull(1)) << "the refused row's text";
}

TEST(JsonRowReader, DeepNestingAndHugeRows) {
  const std::string deep =
      R"({"id":1,"name":)" + std::string(50'000, '[') + std::string(50'000, ']') + "}";
  EXPECT_EQ(OneRow(deep).problem->rule, "type");
  const std::string text(3'000'000, 'x');
  EXPECT_EQ(OneRow(R"({"id":1,"name":")" + text + "\"}").At("name").as_text(), text);
  EXPECT_LT(OneRow(R"({"id":")" + text + "\"}").problem->reason.size(), 200U);
  EXPECT_LT(OneRow("{\"" + text + "\":1}").problem->field.size(), 200U);
}

// Any row that Value writes as JSON is read back to the same bits.
Value RandomValue(Type type, std::mt19937_64& random) {
  switch (type) {
    case Type::kBool: return Value::Bool((random() & 1) != 0);
    case Type::kInt32: return {type, static_cast<int64_t>(static_cast<int32_t>(random()))};
    case Type::kInt64: return {type, static_cast<int64_t>(random())};
    case Type::kFloat32:
      return {type, static_cast<double>(std::ldexp(static_cast<float>(random() >> 40),
                                                   static_cast<int>(random() % 80) - 40))};
    case Type::kFloat64:
      return {type,
              std::ldexp(static_cast<double>(random()), static_cast<int>(random() % 400) - 200)};
    case Type::kString: {
      std::string text;
      for (size_t i = random() % 20; i > 0; --i)
        text += random() % 3 == 0 ? "\u20ac" : std::string(1, static_cast<char>(random() % 128));
      return {type, std::move(text)};
    }
    case Type::kBytes: {
      std::string bytes(random() % 20, '\0');
      for (char& byte : bytes) byte = static_cast<char>(random());
      return {type, std::move(bytes)};
    }
    case Type::kDate: return {type, static_cast<int64_t>(random() % 60'000) - 30'000};
    default:
      return {type, static_cast<int64_t>(random() % 4'000'000'000'000'000) - 2'000'000'000'000'000};
  }
}

TEST(JsonRowReader, ReadsBackWhatValueWrites) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  const columns::SchemaRef schema = EveryType();
  for (int round = 0; round < 500; ++round) {
    std::vector<Value> values;
    std::string json = "{";
    for (const columns::Field& field : schema->fields()) {
      const bool null = field.nullable == Nullable::kYes && random() % 8 == 0;
      values.push_back(null ? Value::Null(field.type) : RandomValue(field.type, random));
      json += (json.size() > 1 ? ",\"" : "\"") + field.name + "\":" + values.back().ToJson();
    }
    json += "}";
    const OneRow row(json);
    ASSERT_FALSE(row.problem) << json << "\n" << row.problem->reason;
    for (size_t i = 0; i < values.size(); ++i)
      ASSERT_TRUE(row.batch.column(i).At(0).SameBits(values[i]))
          << schema->field(i).name << " in " << json;
  }
}

}  // namespace
}  // namespace headrace::ingest
