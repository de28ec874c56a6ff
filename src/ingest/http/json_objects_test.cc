// Objects and lists inside an event: flattened to columns, or kept as JSON text.

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "columns/batch_builder.h"
#include "columns/value.h"
#include "ingest/http/json_batch.h"

namespace headrace::ingest {
namespace {

constexpr std::string_view kVisits = R"(apiVersion: v3.1.0
kind: DataContract
id: visits
version: 1.0.0
status: active
schema:
  - name: visits
    logicalType: object
    properties:
      - {name: id, logicalType: integer, required: true}
      - name: device
        logicalType: object
        properties:
          - {name: os, logicalType: string, required: true, logicalTypeOptions: {maxLength: 8}}
          - {name: ip, logicalType: string, classification: restricted}
          - name: screen
            logicalType: object
            required: true
            properties:
              - {name: width, logicalType: integer, required: true}
              - {name: height, logicalType: integer}
      - name: user
        logicalType: object
        required: true
        classification: restricted
        properties:
          - {name: name, logicalType: string, required: true}
          - {name: born, logicalType: date}
      - {name: basket, logicalType: array, physicalType: json, items: {logicalType: object}}
      - {name: extra, logicalType: object, physicalType: json, required: true}
)";

contract::ContractRef Visits() {
  const contract::ParsedContract parsed = contract::Contract::Parse("visits.yaml", kVisits, "");
  std::string all;
  for (const contract::Diagnostic& d : parsed.diagnostics) all += contract::Render(d, kVisits);
  EXPECT_NE(parsed.contract, nullptr) << all;
  return parsed.contract;
}

columns::EventBatch Read(std::string_view row) {
  const std::vector<std::string_view> rows = {row};
  return ReadJsonBatch({rows, row.data() + row.size()}, *Visits(), 1 << 20);
}

// The row by columns, or "field rule: reason" of one that is refused.
std::string Outcome(std::string_view row) {
  const columns::EventBatch batch = Read(row);
  if (batch.rejected.empty()) return contract::RowToJson(batch.rows, 0);
  const columns::RejectedRow& refused = batch.rejected[0];
  return refused.field + " " + refused.rule + ": " + refused.reason;
}

TEST(JsonObjects, AMemberOfAnObjectIsAColumn) {
  EXPECT_EQ(
      Outcome(
          R"({"id":1,"device":{"screen":{"height":2,"width":3},"os":"ios"},"basket":[1, {"a" : [ ]}],
                  "user":{"name":"eva","born":"2001-01-31"},"extra":{ "x": 1.50, "y z": null }})"),
      R"({"id":1,"device_os":"ios","device_ip":null,"device_screen_width":3,"device_screen_height":2,)"
      R"("user_name":"eva","user_born":"2001-01-31","basket":"[1,{\"a\":[]}]",)"
      R"("extra":"{\"x\":1.50,\"y z\":null}"})");
}

TEST(JsonObjects, WhatAnObjectRequiresIsRequiredWhereItIs) {
  const std::string without =
      R"({"id":1,"device_os":null,"device_ip":null,"device_screen_width":null,"device_screen_height":null,)"
      R"("user_name":"eva","user_born":null,"basket":null,"extra":"{}"})";
  EXPECT_EQ(Outcome(R"({"id":1,"user":{"name":"eva"},"extra":{}})"), without);
  EXPECT_EQ(Outcome(R"({"id":1,"device":null,"basket":null,"user":{"name":"eva"},"extra":{}})"),
            without);
}

TEST(JsonObjects, RowsWrittenByColumnsReadBack) {
  for (const std::string_view row :
       {R"({"id":1,"device":{"screen":{"width":3},"os":"ios"},"user":{"name":"eva"},"extra":{}})",
        R"({"id":1,"user":{"name":"eva"},"basket":[],"extra":{"a":[]}})"}) {
    const columns::EventBatch batch = Read(row);
    ASSERT_EQ(batch.rows.rows(), 1U) << row;
    const std::string by_columns = columns::RowAsJson(batch.rows, 0, batch.json_columns);
    EXPECT_EQ(Outcome(by_columns), contract::RowToJson(batch.rows, 0));
  }
}

struct Refused {
  std::string_view row;
  std::string_view outcome;
};

TEST(JsonObjects, Refusals) {
  constexpr auto kCases = std::to_array<Refused>({
      {R"({"id":1,"user":{"name":"eva"},"extra":{},"device":{"screen":{"width":3}}})",
       "device_os required: `device_os` is missing: send text"},
      {R"({"id":1,"user":{"name":"eva"},"extra":{},"device":{"os":"ios"}})",
       "device_screen required: `device_screen` is missing: send an object"},
      {R"({"id":1,"user":{"name":"eva"},"extra":{},"device":{"os":"ios","screen":{}}})",
       "device_screen_width required: `device_screen_width` is missing: send a whole number "
       "(int64)"},
      {R"({"id":1,"user":{"name":"eva"},"extra":{},"device":{"os":"ios","screen":null}})",
       "device_screen required: `device_screen` is null, but must be an object"},
      {R"({"id":1,"extra":{}})", "user required: `user` is missing: send an object"},
      {R"({"id":1,"user":{"name":null},"extra":{}})",
       "user_name required: `user_name` is null, but must be text"},
      {R"({"id":1,"user":{"name":"eva"}})", "extra required: `extra` is missing: send an object"},
      {R"({"id":1,"user":{"name":"eva"},"extra":null})",
       "extra required: `extra` is null, but must be an object"},
      {R"({"id":1,"user":[],"extra":{}})", "user type: `user` wants an object, but got an array"},
      {R"({"id":1,"user":{"name":"eva"},"extra":[]})",
       "extra type: `extra` wants an object, but got an array"},
      {R"({"id":1,"user":{"name":"eva"},"extra":{},"basket":"[]"})",
       "basket type: `basket` wants a list, but got text"},
      {R"({"id":1,"user":{"name":"eva"},"extra":{},"device":{"os":"ios","osx":1}})",
       "device_osx unknown_field: the contract has no field `osx` in `device`: did you mean `os`?"},
      {R"({"id":1,"user":{"name":"eva","name":"eve"},"extra":{}})",
       "user_name json: `user_name` is given twice"},
      {R"({"id":1,"user":{"name":"eva"},"user_name":"eve","extra":{}})",
       "user_name json: `user_name` is given twice"},
      {R"({"id":1,"user":{"name":"eva"},"user":{"name":"eve"},"extra":{}})",
       "user json: `user` is given twice"},
      {R"({"id":1,"device_os":"ios","user":{"name":"eva"},"extra":{}})",
       "device_screen required: `device_screen` is missing: send an object"},
      {R"({"id":1,"user":{"name":"eva"},"extra":{},"device":{"os":"a long name","screen":{"width":1}}})",
       "device_os length: device_os is \"a long name\", 11 characters; the contract wants at most "
       "8"},
  });
  for (const Refused& c : kCases) EXPECT_EQ(Outcome(c.row), c.outcome) << c.row;
}

TEST(JsonObjects, TextThatIsKeptIsJsonThroughout) {
  for (const std::string_view inside :
       {"[1,}]", "[1 2]", "[tru]", "[{\"a\"}]", "[\"\\q\"]", "[01]", "[1,2"}) {
    const std::string row =
        R"({"id":1,"user":{"name":"eva"},"extra":{},"basket":)" + std::string(inside) + "}";
    EXPECT_EQ(Read(row).rejected.size(), 1U) << row;
  }
}

// A row of kVisits as Flight and tables bring it: a value for each column, null where there is
// none.
struct VisitColumns {
  std::optional<std::string> os = {};
  std::optional<std::string> ip = {};
  std::optional<int64_t> width = {};
  std::optional<int64_t> height = {};
  std::optional<std::string> basket = {};
  std::optional<std::string> extra = "{}";

  columns::EventBatch Read() const {
    const contract::ContractRef visits = Visits();
    columns::BatchBuilder builder(visits->schema());
    const auto text = [&](size_t i, const std::optional<std::string>& v) {
      v ? builder.column(i).AppendText(*v) : builder.column(i).AppendNull();
    };
    const auto number = [&](size_t i, const std::optional<int64_t>& v) {
      v ? builder.column(i).AppendInt(*v) : builder.column(i).AppendNull();
    };
    number(0, 1);
    text(1, os);
    text(2, ip);
    number(3, width);
    number(4, height);
    text(5, "eva");
    builder.column(6).AppendNull();
    text(7, basket);
    text(8, extra);
    return visits->Enforce(builder.Finish());
  }
  std::string Outcome() const {
    const columns::EventBatch batch = Read();
    if (batch.rejected.empty()) return "";
    const columns::RejectedRow& refused = batch.rejected[0];
    return refused.field + " " + refused.rule + ": " + refused.reason;
  }
  // The same row as JSON, a name for each column.
  std::string Json() const {
    const auto text = [](const std::optional<std::string>& v) {
      return v ? columns::Value::String(*v).ToJson() : "null";
    };
    const auto number = [](const std::optional<int64_t>& v) {
      return v ? std::to_string(*v) : "null";
    };
    return R"({"id":1,"device_os":)" + text(os) + R"(,"device_ip":)" + text(ip) +
           R"(,"device_screen_width":)" + number(width) + R"(,"device_screen_height":)" +
           number(height) + R"(,"user_name":"eva","user_born":null,"basket":)" +
           basket.value_or("null") + R"(,"extra":)" + extra.value_or("null") + "}";
  }
};

TEST(JsonObjects, ColumnsAreRefusedForWhatAnObjectRequires) {
  EXPECT_EQ(VisitColumns{}.Outcome(), "");
  EXPECT_EQ((VisitColumns{.os = "ios", .width = 3}.Outcome()), "");
  EXPECT_EQ((VisitColumns{.ip = "::1", .width = 3}.Outcome()),
            "device_os required: `device_os` is missing: send text");
  EXPECT_EQ((VisitColumns{.height = 3}.Outcome()),
            "device_os required: `device_os` is missing: send text");
  EXPECT_EQ((VisitColumns{.os = "ios"}.Outcome()),
            "device_screen_width required: `device_screen_width` is missing: send a whole number "
            "(int64)");
}

TEST(JsonObjects, ColumnsAreRefusedForTextThatIsNoJson) {
  EXPECT_EQ((VisitColumns{.basket = R"([{"sku":"a"}])", .extra = R"({"a":[]})"}.Outcome()), "");
  EXPECT_EQ((VisitColumns{.basket = "{not json"}.Outcome()),
            "basket type: `basket` holds no JSON that can be kept: a quote, comma, colon or "
            "bracket is missing or too many, or a word is none of JSON's (NaN, None)");
  EXPECT_EQ((VisitColumns{.basket = ""}.Outcome()),
            "basket type: `basket` holds no JSON that can be kept: there is nothing");
  EXPECT_EQ((VisitColumns{.basket = "{}"}.Outcome()),
            "basket type: `basket` wants a list, but got an object");
  EXPECT_EQ((VisitColumns{.extra = "12"}.Outcome()),
            "extra type: `extra` wants an object, but got a number");
}

TEST(JsonObjects, ThePayloadOfARefusedRowIsARow) {
  const auto refused =
      VisitColumns{.os = "a long name", .width = 3, .basket = "[ 1,\n {} ]"}.Read();
  ASSERT_EQ(refused.rejected.size(), 1U);
  EXPECT_EQ(refused.rejected[0].payload,
            R"({"id":1,"device_os":"a long name","device_ip":null,"device_screen_width":3,)"
            R"("device_screen_height":null,"user_name":"eva","user_born":null,"basket":[1,{}],)"
            R"("extra":{}})");
  EXPECT_EQ(Outcome(refused.rejected[0].payload),
            "device_os length: device_os is \"a long name\", 11 characters; the contract wants at "
            "most 8");
}

// Whichever way a row comes, the same is refused, with the same words.
TEST(JsonObjects, ColumnsAndJsonAreHeldToTheSame) {
  const uint64_t seed = static_cast<uint64_t>(testing::UnitTest::GetInstance()->random_seed()) + 7;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  const auto pick = [&](const auto& choices) { return choices[random() % choices.size()]; };
  using Text = std::optional<std::string>;
  using Number = std::optional<int64_t>;
  for (int round = 0; round < 2000; ++round) {
    const VisitColumns row{
        .os = pick(std::vector<Text>{{}, "ios"}),
        .ip = pick(std::vector<Text>{{}, "::1"}),
        .width = pick(std::vector<Number>{{}, 3}),
        .height = pick(std::vector<Number>{{}, 4}),
        .basket = pick(std::vector<Text>{{}, "[]", "[1,{}]", "{}", "1", "\"a\"", "true", "[tru]"}),
        .extra = pick(std::vector<Text>{"{}", R"({"a":[1]})", "[]", "{\"a\":01}"})};
    const columns::EventBatch batch = Read(row.Json());
    const std::string by_json = batch.rejected.empty() ? "" : Outcome(row.Json());
    ASSERT_EQ(row.Outcome(), by_json) << row.Json();
  }
}

TEST(JsonObjects, AnObjectOfWhichAllColumnsAreNamedMayBeEmpty) {
  constexpr std::string_view kText = R"(apiVersion: v3.1.0
kind: DataContract
id: visits
version: 1.0.0
status: active
schema:
  - name: visits
    logicalType: object
    properties:
      - {name: id, logicalType: integer, required: true}
      - name: device
        logicalType: object
        properties:
          - {name: os, logicalType: string}
          - {name: screen, logicalType: object, required: true, properties: [{name: width, logicalType: integer}]}
)";
  const auto contract = contract::Contract::Parse("visits.yaml", kText, "").contract;
  ASSERT_NE(contract, nullptr);
  const auto read = [&](std::string_view row) {
    const std::vector<std::string_view> rows = {row};
    return ReadJsonBatch({rows, row.data() + row.size()}, *contract, 1 << 20);
  };
  const columns::EventBatch nested = read(R"({"id":1,"device":{"os":"ios","screen":{}}})");
  ASSERT_EQ(nested.rows.rows(), 1U);
  EXPECT_TRUE(contract->Enforce(nested.rows).rejected.empty());
  EXPECT_TRUE(read(contract::RowToJson(nested.rows, 0)).rejected.empty());
  EXPECT_EQ(read(R"({"id":1,"device_os":"ios"})").rejected.size(), 1U);
}

TEST(JsonObjects, RestrictedObjectsAreMaskedForReaders) {
  const contract::ContractRef visits = Visits();
  EXPECT_EQ(visits->MaskPayload(
                R"({"id":1,"user":{"name":"eva","x":2},"device":{"os":"a","ip":"::1"},"x":[1]})"),
            R"({"id":1,"user":"***","device":{"os":"a","ip":"***"},"x":[1]})");
  EXPECT_EQ(visits->MaskPayload(R"({"user_name":"eva","user":"eva","device":"::1","extra":{}})"),
            R"({"user_name":"***","user":"***","device":"***","extra":{}})");
}

}  // namespace
}  // namespace headrace::ingest
