#include "protocols/http_router.h"

#include <gtest/gtest.h>

namespace headrace::protocols {
namespace {

class HttpRouterTest : public testing::Test {
 protected:
  HttpRouterTest() {
    const auto named = [](const std::string& name) {
      return [name](HttpRequest request, HttpReply reply) {
        std::string text = name;
        for (const auto& [key, value] : request.parameters)
          text.append(" ").append(key).append("=").append(value);
        reply.Send(HttpResponse::Text(text));
      };
    };
    router_.Add(HttpMethod::kGet, "/health", named("health"));
    router_.Add(HttpMethod::kPost, "/streams/{stream}/events", named("events"));
    router_.Add(HttpMethod::kGet, "/streams/{stream}/events", named("list"));
    router_.Add(HttpMethod::kGet, "/streams/all/events", named("all"));
    router_.Add(HttpMethod::kGet, "/", named("root"));
  }
  HttpResponse Ask(HttpMethod method, std::string path) {
    HttpResponse given;
    HttpRequest request;
    request.method = method;
    request.path = std::move(path);
    router_.Dispatch(std::move(request),
                     HttpReply([&](HttpResponse response) { given = std::move(response); }));
    return given;
  }
  HttpRouter router_;
};

TEST_F(HttpRouterTest, FindsByMethodAndPath) {
  EXPECT_EQ(Ask(HttpMethod::kGet, "/health").body, "health");
  EXPECT_EQ(Ask(HttpMethod::kHead, "/health").body, "health");
  EXPECT_EQ(Ask(HttpMethod::kGet, "/").body, "root");
  EXPECT_EQ(Ask(HttpMethod::kPost, "/streams/flights/events").body, "events stream=flights");
  EXPECT_EQ(Ask(HttpMethod::kGet, "/streams/x/events").body, "list stream=x");
  EXPECT_EQ(Ask(HttpMethod::kGet, "/streams/all/events").body, "all") << "the literal pattern wins";
}

TEST_F(HttpRouterTest, AnswersProblemsForTheRest) {
  EXPECT_EQ(Ask(HttpMethod::kGet, "/nowhere").status, 404);
  EXPECT_EQ(Ask(HttpMethod::kGet, "/health/").status, 404);
  EXPECT_EQ(Ask(HttpMethod::kPost, "/streams//events").status, 404)
      << "a name takes one non-empty segment";
  const HttpResponse refused = Ask(HttpMethod::kDelete, "/streams/x/events");
  EXPECT_EQ(refused.status, 405);
  ASSERT_EQ(refused.fields.size(), 1);
  EXPECT_EQ(refused.fields[0].name, "Allow");
  EXPECT_EQ(refused.fields[0].value, "POST, GET");
  EXPECT_EQ(refused.content_type, "application/problem+json");
}

TEST(HttpReplyTest, AnswersWhenDropped) {
  HttpResponse given;
  {
    HttpReply reply([&](HttpResponse response) { given = std::move(response); });
  }
  EXPECT_EQ(given.status, 500);
  given.status = 0;
  {
    HttpReply reply([&](HttpResponse response) { given = std::move(response); });
    HttpReply moved = std::move(reply);
    moved.Send(HttpResponse::Text("once"));
    EXPECT_TRUE(moved.sent());
  }
  EXPECT_EQ(given.body, "once");
}

}  // namespace
}  // namespace headrace::protocols
