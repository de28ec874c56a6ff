#include "serving/http/verbs.h"

#include <gtest/gtest.h>

#include "serving/testing/served_trips.h"

namespace headrace::serving {
namespace {

using protocols::HttpMethod;
using protocols::HttpResponse;
using testing::ServedTrips;

class VerbsTest : public ::testing::Test {
 protected:
  VerbsTest() {
    trips_.Apply({{0, "ORD", "ATL", 1, 10}, {90, "ORD", "SFO", 1, 40}, {100, "ORD", "ATL", 2, 20}});
    ServingVerbs verbs;
    verbs.answers = trips_.service.get();
    verbs.ready = [this]() -> base::Result<void> {
      if (ready_) return {};
      return base::Fail(base::ErrorCode::kUnavailable, "recovering");
    };
    verbs.status = [] { return std::string("{\"epoch\":1}"); };
    verbs.metrics = [] { return std::string("headrace_x 1\n"); };
    verbs.flip = [this](const std::string& view, const columns::KeyBytes& key) {
      flipped_ = view;
      return trips_.views->CorruptForDemonstration(*trips_.definition->ViewNamed(view), key);
    };
    MountServing(router_, std::move(verbs));
  }
  HttpResponse Send(HttpMethod method, std::string path, std::string body = {},
                    const std::string& query = {}) {
    protocols::HttpRequest request;
    request.method = method;
    request.path = std::move(path);
    request.body = std::move(body);
    if (!query.empty())
      request.query.emplace_back(query.substr(0, query.find('=')),
                                 query.substr(query.find('=') + 1));
    HttpResponse given;
    given.status = 0;
    router_.Dispatch(std::move(request), protocols::HttpReply([&](HttpResponse response) {
                       given = std::move(response);
                     }));
    return given;
  }
  HttpResponse Ask(std::string body, const std::string& query = {}) {
    return Send(HttpMethod::kPost, "/get-online-features", std::move(body), query);
  }
  std::string Provenance() const {
    return R"("headrace":{"epoch":1,"as_of":"2001-01-01T01:40:00Z","lag_ms":0,"log":"abababababababababababababababab","definition":")" +
           trips_.definition->id.ToString() + R"(","clock":"events"}})";
  }

  bool ready_ = true;
  std::string flipped_;
  ServedTrips trips_;
  protocols::HttpRouter router_;
};

TEST_F(VerbsTest, AnswersInFeastsShape) {
  const HttpResponse response = Ask(
      R"({"features": ["origin:trips_1h", "origin:mean_delay_24h"], "entities": {"origin": ["ORD", "???"]}})");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.content_type, "application/json");
  EXPECT_EQ(
      response.body,
      R"({"results":[{"values":["ORD","???"],"statuses":["PRESENT","PRESENT"],"event_timestamps":["1970-01-01T00:00:00Z","1970-01-01T00:00:00Z"]},)"
      R"({"values":[2,null],"statuses":["PRESENT","NOT_FOUND"],"event_timestamps":["2001-01-01T01:40:00Z","1970-01-01T00:00:00Z"]},)"
      R"({"values":[23.333333333333332,null],"statuses":["PRESENT","NOT_FOUND"],"event_timestamps":["2001-01-01T01:40:00Z","1970-01-01T00:00:00Z"]}],)"
      R"("metadata":{"feature_names":["origin","trips_1h","mean_delay_24h"]},)" +
          Provenance());
}

TEST_F(VerbsTest, TellsFeaturesOfOneNameApart) {
  const std::string entities = R"("entities": {"origin": ["ORD"], "destination": ["ATL"]}})";
  const HttpResponse service = Ask(R"({"feature_service": "trip", )" + entities);
  EXPECT_NE(
      service.body.find(
          R"("feature_names":["origin","destination","trips_1h","origin__trips_24h","mean_delay_1h",)"
          R"("mean_delay_24h","route__trips_24h","trend"])"),
      std::string::npos)
      << service.body;
  const HttpResponse full =
      Ask(R"({"feature_service": "trip", "full_feature_names": true, )" + entities);
  EXPECT_NE(
      full.body.find(
          R"("origin__trips_1h","origin__trips_24h","origin__mean_delay_1h","origin__mean_delay_24h",)"
          R"("route__trips_24h","trend"])"),
      std::string::npos)
      << full.body;
}

TEST_F(VerbsTest, HasAStrictAndAFeastMode) {
  const std::string body =
      R"({"features": ["origin:mean_delay_1h"], "entities": {"origin": ["ORD"]}, "as_of": "2001-01-01T09:00:00Z"})";
  EXPECT_NE(Ask(body).body.find(R"({"values":[null],"statuses":["NULL_VALUE"])"), std::string::npos)
      << Ask(body).body;
  EXPECT_NE(Ask(body, "mode=feast").body.find(R"({"values":[null],"statuses":["PRESENT"])"),
            std::string::npos);
  EXPECT_NE(Ask(body, "as_of=2001-01-01T01:30:00Z").body.find(R"({"values":[40.0])"),
            std::string::npos)
      << "the query string wins";
}

TEST_F(VerbsTest, NamesViewsWhenAsked) {
  const HttpResponse response = Ask(
      R"({"features": ["origin:trips_1h"], "entities": {"origin": []}, "include_feature_view_version_metadata": true})");
  EXPECT_EQ(response.status, 200);
  EXPECT_NE(
      response.body.find(
          R"("metadata":{"feature_names":["origin","trips_1h"],"feature_view_metadata":[{"name":"origin"}]})"),
      std::string::npos)
      << response.body;
  EXPECT_NE(response.body.find(R"({"values":[],"statuses":[],"event_timestamps":[]})"),
            std::string::npos);
}

TEST_F(VerbsTest, AnswersUnknownThingsAsFeastDoes) {
  const HttpResponse view = Ask(R"({"features": ["cart:x"], "entities": {"origin": ["ORD"]}})");
  EXPECT_EQ(view.status, 404);
  EXPECT_EQ(view.body,
            R"("{\"module\": \"feast.errors\", \"class\": \"FeatureViewNotFoundException\", )"
            R"(\"message\": \"Feature view cart does not exist in project trips\"}")");
  const HttpResponse service =
      Ask(R"({"feature_service": "cart", "entities": {"origin": ["ORD"]}})");
  EXPECT_EQ(service.status, 404);
  EXPECT_NE(service.body.find("FeatureServiceNotFoundException"), std::string::npos);
  const HttpResponse input = Ask(R"({"features": ["late_by"], "entities": {"origin": ["ORD"]}})");
  EXPECT_EQ(input.status, 404);
  EXPECT_NE(input.body.find("RequestDataNotFoundInEntityRowsException"), std::string::npos);
}

struct BadBody {
  std::string body;
  std::string detail;
};

TEST_F(VerbsTest, SaysWhatIsWrongWithABody) {
  const std::vector<BadBody> cases = {
      {"", R"("type":"missing","loc":["body"])"},
      {"{", R"("type":"json_invalid","loc":["body"])"},
      {"[]", R"("type":"model_attributes_type","loc":["body"])"},
      {R"({"features": ["origin:trips_1h"]})",
       R"("type":"missing","loc":["body","entities"],"msg":"Field required")"},
      {R"({"features": 1, "full_feature_names": [], "feature_service": 1})",
       R"({"detail":[{"type":"missing","loc":["body","entities"],"msg":"Field required"},)"
       R"({"type":"string_type","loc":["body","feature_service"],)"
       R"("msg":"Input should be a valid string"},{"type":"list_type","loc":["body","features"],)"
       R"("msg":"Input should be a valid list"},{"type":"bool_type",)"
       R"("loc":["body","full_feature_names"],"msg":"Input should be a valid boolean"}]})"},
      {R"({"entities": [], "features": ["a:b"]})",
       R"("type":"dict_type","loc":["body","entities"])"},
      {R"({"entities": {"origin": "ORD"}, "features": ["a:b"]})",
       R"("type":"list_type","loc":["body","entities","origin"])"},
      {R"({"entities": {"origin": [["ORD"]]}, "features": ["a:b"]})",
       R"("loc":["body","entities","origin",0])"},
      {R"({"entities": {"origin": ["ORD"]}})", R"("type":"value_error","loc":["body","features"])"},
      {R"({"entities": {"origin": ["ORD"]}, "features": "a:b"})",
       R"("type":"list_type","loc":["body","features"])"},
      {R"({"entities": {"origin": ["ORD"]}, "features": [1]})",
       R"("type":"string_type","loc":["body","features",0])"},
      {R"({"entities": {}, "feature_service": 1})", R"("loc":["body","feature_service"])"},
      {R"({"entities": {}, "feature_service": "trip", "full_feature_names": "x"})",
       R"("type":"bool_parsing")"},
      {R"({"entities": {}, "feature_service": "trip", "full_feature_names": []})",
       R"("type":"bool_type")"},
      {R"({"entities": {}, "features": ["origin@v2:trips_1h"]})",
       R"("loc":["body","features",0],"msg":"Version-qualified ref 'origin@v2' not supported)"},
      {R"({"entities": {}, "feature_service": "trip", "as_of": "noon"})",
       R"("loc":["body","as_of"])"},
      {R"({"entities": {}, "feature_service": "trip", "min_epoch": -1})",
       R"("loc":["body","min_epoch"])"},
      {R"({"entities": {}, "feature_service": "trip", "mode": "x"})", R"("loc":["body","mode"])"},
      {R"({"entities": {}, "feature_service": "trip"})",
       R"("loc":["body","entities","origin"],"msg":"missing join key `origin`")"},
      {R"({"entities": {"origin": [1]}, "features": ["origin:trips_1h"]})",
       R"("msg":"expected string, got 1")"},
      {R"({"entities": {"origin": ["ORD"]}, "features": ["origin:x"]})",
       R"("loc":["body","features"])"},
  };
  for (const BadBody& bad : cases) {
    const HttpResponse response = Ask(bad.body);
    EXPECT_EQ(response.status, 422) << bad.body;
    EXPECT_TRUE(response.body.starts_with(R"({"detail":[{)")) << response.body;
    EXPECT_NE(response.body.find(bad.detail), std::string::npos) << bad.body << "\n"
                                                                 << response.body;
  }
  std::string many = "{";
  for (int i = 0; i < 70; ++i) many += R"("feature_service": 1, )";
  EXPECT_EQ(Ask(many + R"("entities": {}})").body.find("missing"), std::string::npos);
  const HttpResponse feast =
      Ask(R"({"entities": {"x": ["ORD"]}, "features": ["origin:trips_1h"]})", "mode=feast");
  EXPECT_EQ(feast.status, 500);
  EXPECT_EQ(feast.body, R"("missing join key `origin`")");
}

TEST_F(VerbsTest, ALongRequestIsChargedWhileItIsRead) {
  base::MemoryBudget budget(4U << 20);
  protocols::HttpRouter router;
  MountServing(router, {.answers = trips_.service.get(), .budget = &budget});
  const auto ask = [&](size_t bytes) {
    protocols::HttpRequest request;
    request.method = HttpMethod::kPost;
    request.path = "/get-online-features";
    request.body = R"({"features": ["origin:trips_1h"], "entities": {"origin": ["ORD"]}})";
    request.body.resize(bytes, ' ');
    int status = 0;
    router.Dispatch(std::move(request), protocols::HttpReply([&](const HttpResponse& response) {
                      status = response.status;
                    }));
    return status;
  };
  EXPECT_EQ(ask(100'000), 200);
  EXPECT_EQ(ask(200'000), 503);
  EXPECT_EQ(budget.used_bytes(), 0U);
}

TEST_F(VerbsTest, WhatWaitsIsChargedForWhatItHolds) {
  protocols::HttpRouter router;
  MountServing(router, {.answers = trips_.service.get(), .budget = &trips_.budget});
  const auto charged = [&] { return trips_.budget.used_bytes(base::MemoryAccount::kReplies); };
  const auto waiting = [&](const std::string& origins, size_t body_bytes, uint64_t least,
                           uint64_t most) {
    protocols::HttpRequest request;
    request.method = HttpMethod::kPost;
    request.path = "/get-online-features";
    request.query = {{"min_epoch", "999"}};
    request.body =
        R"({"features": ["origin:trips_1h"], "entities": {"origin": [)" + origins + "]}}";
    request.body.resize(body_bytes, ' ');
    int status = 0;
    router.Dispatch(std::move(request), protocols::HttpReply([&](const HttpResponse& response) {
                      status = response.status;
                    }));
    EXPECT_EQ(status, 0);
    EXPECT_GE(charged(), least);
    EXPECT_LE(charged(), most);
    trips_.clock.now += std::chrono::minutes(2);
    trips_.executor.RunDue();
    trips_.executor.RunDue();
    EXPECT_EQ(status, 504);
    EXPECT_EQ(charged(), 0U);
  };
  waiting(R"("ORD")", 400'000, 1, 64U << 10);
  waiting('"' + std::string(300'000, 'x') + '"', 400'000, 300'000, 400'000);
  std::string many = "1";
  for (int i = 1; i < 4'000; ++i) many += ",1";
  waiting(many, 64U << 10, 4'000 * sizeof(columns::Value), 5'000 * sizeof(columns::Value));
}

TEST_F(VerbsTest, WhatFindsNoRoomToWaitMayComeAgain) {
  const auto others = trips_.budget.TryCharge(
      base::MemoryAccount::kReplies, trips_.budget.limit_bytes() - trips_.budget.used_bytes());
  ASSERT_TRUE(others);
  const HttpResponse refused =
      Ask(R"({"entities": {"origin": ["ORD"]}, "features": ["origin:trips_1h"]})", "min_epoch=9");
  EXPECT_EQ(refused.status, 429) << refused.body;
}

TEST_F(VerbsTest, TooMuchIsRefusedWhileItIsRead) {
  const auto repeated = [](std::string_view item, size_t times) {
    std::string list;
    for (size_t i = 0; i < times; ++i) list.append(i == 0 ? "" : ",").append(item);
    return "[" + list + "]";
  };
  const std::string features = R"("features": ["origin:trips_1h"])";
  const HttpResponse most =
      Ask(R"({"entities": {"origin": )" + repeated(R"("ORD")", 4096) + "}, " + features + "}");
  EXPECT_EQ(most.status, 200) << most.body;
  // What is wrong behind it is not looked at.
  const HttpResponse rows =
      Ask(R"({"entities": {"x": )" + repeated("[]", 4097) + "}, " + features + "}");
  EXPECT_EQ(rows.status, 422);
  EXPECT_NE(rows.body.find(R"("loc":["body","entities","x"],"msg":"more than 4096 rows in one )"
                           R"(request: ask in parts")"),
            std::string::npos)
      << rows.body;
  const HttpResponse names =
      Ask(R"({"entities": {"origin": []}, "features": )" + repeated("1", 4097) + "}");
  EXPECT_EQ(names.status, 422);
  EXPECT_NE(names.body.find(
                R"("loc":["body","features"],"msg":"more than 4096 features in one request")"),
            std::string::npos)
      << names.body;
}

TEST_F(VerbsTest, WhatNeedsNoKeyHasTheRowsOfItsEntities) {
  const HttpResponse two = Ask(R"({"features": ["fixed"], "entities": {"x": [1, 2]}})");
  EXPECT_NE(two.body.find(R"({"values":[8,8],"statuses":["PRESENT","PRESENT"])"), std::string::npos)
      << two.body;
  const HttpResponse one = Ask(R"({"features": ["fixed"], "entities": {}})");
  EXPECT_NE(one.body.find(R"({"values":[8],"statuses":["PRESENT"])"), std::string::npos)
      << one.body;
}

TEST_F(VerbsTest, AnswersUnderFeastInItsMode) {
  const std::string body =
      R"({"features": ["origin@latest:trips_1h"], "entities": {"x": ["ORD"]}})";
  const HttpResponse strict = Send(HttpMethod::kPost, "/get-online-features", body);
  EXPECT_EQ(strict.status, 422) << strict.body;
  const HttpResponse feast = Send(HttpMethod::kPost, "/feast/get-online-features", body);
  EXPECT_EQ(feast.status, 500);
  EXPECT_EQ(feast.body, R"("missing join key `origin`")");
  const HttpResponse twice = Send(
      HttpMethod::kPost, "/feast/get-online-features",
      R"({"features": ["origin:trips_1h", "origin:trips_1h"], "entities": {"origin": ["ORD"]}})");
  EXPECT_EQ(twice.status, 500);
  EXPECT_NE(twice.body.find("FeatureNameCollisionError"), std::string::npos) << twice.body;
  EXPECT_EQ(Send(HttpMethod::kGet, "/feast/health").status, 200);
}

TEST_F(VerbsTest, WaitsForAnEpochUpToADeadline) {
  const std::string body =
      R"({"features": ["origin:trips_1h"], "entities": {"origin": ["ORD"]}, "min_epoch": 2, "deadline_ms": 100})";
  HttpResponse given;
  given.status = 0;
  protocols::HttpRequest request;
  request.method = HttpMethod::kPost;
  request.path = "/get-online-features";
  request.body = body;
  router_.Dispatch(std::move(request), protocols::HttpReply([&](HttpResponse response) {
                     given = std::move(response);
                   }));
  EXPECT_EQ(given.status, 0) << "not yet";
  trips_.Apply({{101, "ORD", "ATL", 1, 10}});
  trips_.executor.RunDue();
  EXPECT_EQ(given.status, 200);
  EXPECT_NE(given.body.find("\"epoch\":2"), std::string::npos);
}

TEST_F(VerbsTest, ReadsOfAConnectionAreMadeInTurn) {
  EXPECT_TRUE(router_.BeginsInTurn(HttpMethod::kPost, "/get-online-features"));
  EXPECT_TRUE(router_.BeginsInTurn(HttpMethod::kPost, "/feast/get-online-features"));
  EXPECT_FALSE(router_.BeginsInTurn(HttpMethod::kGet, "/health"));
}

TEST_F(VerbsTest, TellsHealthFromReadiness) {
  EXPECT_EQ(Send(HttpMethod::kGet, "/health").status, 200);
  EXPECT_EQ(Send(HttpMethod::kGet, "/health").body, "");
  EXPECT_EQ(Send(HttpMethod::kGet, "/ready").status, 200);
  ready_ = false;
  EXPECT_EQ(Send(HttpMethod::kGet, "/health").status, 200);
  EXPECT_EQ(Send(HttpMethod::kGet, "/ready").status, 503);
}

TEST_F(VerbsTest, ServesStatusMetricsAndViews) {
  EXPECT_EQ(Send(HttpMethod::kGet, "/status").body, "{\"epoch\":1}");
  EXPECT_EQ(Send(HttpMethod::kGet, "/metrics").content_type,
            "text/plain; version=0.0.4; charset=utf-8");
  const std::string views = Send(HttpMethod::kGet, "/views").body;
  EXPECT_NE(
      views.find(
          R"({"name":"route","stream":"trips","join_keys":[{"name":"origin","type":"string"},)"
          R"({"name":"destination","type":"string"}],"windows":["1d"],)"
          R"("features":[{"name":"trips_24h","type":"int64"}]})"),
      std::string::npos)
      << views;
  EXPECT_NE(views.find(R"({"name":"fresh","features":["origin:trips_1h"],"max_lag":"10m"})"),
            std::string::npos)
      << views;
}

TEST_F(VerbsTest, FlipsABitOnlyForTheDemonstration) {
  EXPECT_EQ(
      Send(HttpMethod::kPost, "/debug/flip", R"({"view": "origin", "key": {"origin": "ORD"}})")
          .status,
      200);
  EXPECT_EQ(flipped_, "origin");
  EXPECT_NE(Ask(R"({"features": ["origin:mean_delay_1h"], "entities": {"origin": ["ORD"]}})")
                .body.find(R"({"values":[30.5])"),
            std::string::npos)
      << "20 became 21";
  EXPECT_EQ(
      Send(HttpMethod::kPost, "/debug/flip", R"({"view": "origin", "key": {"origin": "???"}})")
          .status,
      404);
  EXPECT_EQ(Send(HttpMethod::kPost, "/debug/flip", R"({"view": "cart", "key": {}})").status, 404);
  EXPECT_EQ(Send(HttpMethod::kPost, "/debug/flip", R"({"view": "origin", "key": {}})").status, 422);
  EXPECT_EQ(Send(HttpMethod::kPost, "/debug/flip", "x").status, 422);
  protocols::HttpRouter without;
  ServingVerbs verbs;
  verbs.answers = trips_.service.get();
  MountServing(without, std::move(verbs));
  HttpResponse given;
  protocols::HttpRequest request;
  request.method = HttpMethod::kPost;
  request.path = "/debug/flip";
  without.Dispatch(std::move(request), protocols::HttpReply([&](HttpResponse response) {
                     given = std::move(response);
                   }));
  EXPECT_EQ(given.status, 404);
}

}  // namespace
}  // namespace headrace::serving
