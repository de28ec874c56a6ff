#include "serving/http/feast_frame.h"

#include <gtest/gtest.h>

#include "pipeline/pipeline_file.h"
#include "serving/http/feast_response.h"

namespace headrace::serving {
namespace {

constexpr std::string_view kPipeline = R"(headrace: 1
pipeline: drivers
promise: {budget: {p99: 200ms}}
streams:
  drivers:
    contract: drivers.yaml
    source: {http: push}
    time: {event: at, late: 1d}
  fast: {from: drivers, where: rate > 0.5}
views:
  stats: {from: drivers, by: id, features: {rate: last(rate), born: last(born), age: time_since_last(*)}}
  summed: {from: drivers, by: id, over: 1h, features: {rate: last(rate)}}
  some: {from: drivers, by: id, where: rate > 0, features: {rate: last(rate)}}
  faster: {from: fast, by: id, features: {rate: last(rate)}}
)";

constexpr std::string_view kContract = R"(apiVersion: v3.1.0
kind: DataContract
id: drivers
version: 1.0.0
status: active
schema:
  - name: drivers
    logicalType: object
    properties:
      - {name: id, logicalType: integer, required: true}
      - {name: at, logicalType: timestamp, required: true}
      - {name: rate, logicalType: number}
      - {name: born, logicalType: timestamp, physicalType: timestamp_ntz}
)";

class FeastFrameTest : public ::testing::Test {
 protected:
  FeastFrameTest() {
    const auto checked = pipeline::CheckPipeline(
        "drivers.yaml", kPipeline,
        [](const std::string&) -> base::Result<std::string> { return std::string(kContract); });
    for (const contract::Diagnostic& diagnostic : checked.diagnostics)
      ADD_FAILURE() << contract::Render(diagnostic, kPipeline);
    definition_ = checked.definition;
  }
  static std::expected<FeastFrame, FieldProblems> Parse(std::string body, FrameVerb verb) {
    protocols::HttpRequest request;
    request.body = std::move(body);
    return ParseFeastFrame(request, verb);
  }
  // The rows, or the message; for a push to a stream or a write to a view.
  std::string Rows(const std::string& target, const std::string& df,
                   FrameVerb verb = FrameVerb::kWrite) {
    const std::string field = verb == FrameVerb::kPush ? "push_source_name" : "feature_view_name";
    const auto frame = Parse("{\"" + field + "\":\"" + target + "\",\"df\":" + df + "}", verb);
    if (!frame) return frame.error().front().message;
    const auto rows = RowsOf(*frame, *definition_);
    return rows ? rows->stream + ": " + rows->text : rows.error().message();
  }
  pipeline::PipelineRef definition_;
};

TEST_F(FeastFrameTest, AViewThatRemembersIsSetByAnEvent) {
  EXPECT_EQ(Rows("stats", R"({"id":[1,2],"rate":[0.5,null],"born":[60,"1990-01-02T00:00:00"],
                 "event_timestamp":["2001-01-01T00:00:00.5",-1],"created":[null,null]})"),
            "drivers: "
            R"({"id":1,"rate":0.5,"born":"1970-01-01T00:01:00","at":"2001-01-01T00:00:00.5"})"
            "\n"
            R"({"id":2,"rate":null,"born":"1990-01-02T00:00:00","at":"1969-12-31T23:59:59Z"})"
            "\n");
}

TEST_F(FeastFrameTest, AStreamTakesItsFields) {
  const std::string rows = "drivers: {\"id\":1,\"at\":\"2001-01-01T00:00:00Z\"}\n";
  EXPECT_EQ(Rows("drivers", R"({"id":[1],"at":["2001-01-01T00:00:00Z"]})", FrameVerb::kPush), rows);
  EXPECT_EQ(Rows("drivers", R"({"id":[1],"event_timestamp":["2001-01-01T00:00:00Z"]})"), rows);
  EXPECT_EQ(Rows("drivers", "{}", FrameVerb::kPush), "drivers: ");
}

TEST_F(FeastFrameTest, WhatCannotBeSetIsRefusedWithWhatToDo) {
  EXPECT_EQ(Rows("summed", R"({"id":[1],"rate_1h":[0.5]})"),
            "the features of view `summed` can't be set, as its features are computed of many "
            "events: push the event itself to stream `drivers` (a push source, or a feature view "
            "of that name)");
  EXPECT_NE(Rows("some", R"({"id":[1],"rate":[0.5]})").find("a condition decides"),
            std::string::npos);
  EXPECT_NE(Rows("faster", R"({"id":[1],"rate":[0.5]})").find("made of another stream's"),
            std::string::npos);
  EXPECT_NE(Rows("fast", R"({"id":[1]})", FrameVerb::kPush).find("push to that one"),
            std::string::npos);
  EXPECT_NE(Rows("stats", R"({"id":[1],"rate":[1],"born":[null],"age":[3]})")
                .find("feature `age` of view `stats` can't be set, as it is computed"),
            std::string::npos);
  EXPECT_NE(Rows("stats", R"({"id":[1],"rate":[1]})").find("no column `born` of view `stats`"),
            std::string::npos);
  EXPECT_NE(Rows("stats", R"({"id":[1],"rate":[1],"born":[null],"x":[3]})")
                .find("no feature and no key `x`"),
            std::string::npos);
  EXPECT_NE(Rows("drivers", R"({"id":[1],"x":[3]})", FrameVerb::kPush).find("no field `x`"),
            std::string::npos);
  EXPECT_EQ(Rows("nobody", R"({"id":[1]})"), "there is no view or stream `nobody`");
  EXPECT_EQ(Rows("stats", R"({"id":[1]})", FrameVerb::kPush), "there is no stream `stats`");
}

TEST_F(FeastFrameTest, AFrameIsHeldToItsShape) {
  const auto problem = [](std::string body) {
    const auto frame = Parse(std::move(body), FrameVerb::kPush);
    return frame ? "none" : RequestProblemResponse(frame.error(), StatusMode::kStrict).body;
  };
  EXPECT_EQ(problem(R"({"push_source_name":"a","df":{"x":[1],"y":[1,2]}})"),
            R"({"detail":[{"type":"value_error","loc":["body","df","y"],)"
            R"("msg":"All arrays must be of the same length"}]})");
  const auto flag = [&](const std::string& value) {
    return problem(R"({"push_source_name":"a","df":{"x":[1]},"transform_on_write":)" + value + "}");
  };
  for (const char* value : {"true", "1", "\"yes\"", "\"true\"", "\"off\"", "0"})
    EXPECT_EQ(flag(value), "none") << value;
  EXPECT_NE(flag("\"perhaps\"").find("\"bool_parsing\""), std::string::npos);
  EXPECT_NE(flag("2").find("\"bool_parsing\""), std::string::npos);
  EXPECT_NE(flag("[]").find("\"bool_type\""), std::string::npos);
  EXPECT_NE(problem(R"({"push_source_name":"a","df":[1]})").find("\"dict_type\""),
            std::string::npos);
  EXPECT_NE(problem("{").find("\"json_invalid\""), std::string::npos);
  EXPECT_EQ(problem("{}"), R"({"detail":[{"type":"missing","loc":["body","push_source_name"],)"
                           R"("msg":"Field required"},{"type":"missing","loc":["body","df"],)"
                           R"("msg":"Field required"}]})");
  // In the order of the model; what only the verb's code would find is not told beside it.
  EXPECT_EQ(problem(R"({"transform_on_write":[],"to":"x","push_source_name":1,"df":{"x":[1]}})"),
            R"({"detail":[{"type":"string_type","loc":["body","push_source_name"],)"
            R"("msg":"Input should be a valid string"},{"type":"bool_type",)"
            R"("loc":["body","transform_on_write"],"msg":"Input should be a valid boolean"}]})");
  EXPECT_EQ(problem(R"({"push_source_name":"a","df":{"x":[1]},"to":"offline"})"), "none");
}

}  // namespace
}  // namespace headrace::serving
