#include "wiring/http_routes.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "wiring/http_verbs.h"
#include "wiring/lives_fixture.h"
#include "wiring/log_gate.h"

namespace headrace::wiring {
namespace {

// This file is src/wiring/http_routes_test.cc of the checkout.
std::filesystem::path Reference(std::string_view name) {
  return std::filesystem::path(__FILE__).parent_path() / "../../docs/reference" / name;
}

std::string Read(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Compares, or writes when HEADRACE_REWRITE is set.
void ExpectCurrent(std::string_view name, const std::string& wanted) {
  if (std::getenv("HEADRACE_REWRITE") != nullptr) std::ofstream(Reference(name)) << wanted;
  EXPECT_TRUE(Read(Reference(name)) == wanted)
      << "docs/reference/" << name << " is out of date: run the tests once with HEADRACE_REWRITE=1";
}

TEST(HttpRoutesTest, TheDocumentIsUpToDate) { ExpectCurrent("openapi.json", OpenApiJson()); }

TEST(HttpRoutesTest, TheListOfVerbsIsUpToDate) {
  constexpr std::string_view kBegin = "<!-- verbs: generated from src/wiring/http_routes.cc -->\n";
  constexpr std::string_view kEnd = "<!-- end of verbs -->\n";
  std::string page = Read(Reference("http.md"));
  const size_t begin = page.find(kBegin);
  const size_t end = page.find(kEnd);
  ASSERT_NE(begin, std::string::npos);
  ASSERT_NE(end, std::string::npos);
  page.replace(begin + kBegin.size(), end - begin - kBegin.size(), RouteListMarkdown());
  ExpectCurrent("http.md", page);
}

// Every verb that is mounted is in the table, and nothing else is.
TEST(HttpRoutesTest, TheTableIsWhatIsMounted) {
  lives_fixture::Lives lives(lives_fixture::Text(lives_fixture::kHour, lives_fixture::Table::kNo));
  LogGate gate(*lives.core_);
  const auto executor = lives.machine_->NewExecutor("events", env::Priority::kRealTime);
  protocols::HttpRouter router;
  MountVerbs(router, *lives.core_, gate, *executor, DemoFaults::kOn);
  std::set<std::pair<protocols::HttpMethod, std::string>> mounted;
  for (auto& route : router.Mounted()) mounted.insert(std::move(route));
  std::set<std::pair<protocols::HttpMethod, std::string>> told;
  for (const RouteRow& row : RouteTable()) {
    const bool once = told.emplace(row.method, row.path).second;
    EXPECT_TRUE(once) << row.path;
  }
  for (const auto& [method, path] : mounted)
    EXPECT_TRUE(told.contains({method, path})) << "not in the table: " << path;
  for (const auto& [method, path] : told)
    EXPECT_TRUE(mounted.contains({method, path})) << "not mounted: " << path;
}

// A body of 100 MiB is one of rows, and charged for.
TEST(HttpRoutesTest, WhatIsNoRowsIsShort) {
  constexpr uint64_t kOfRows = 100U << 20;
  lives_fixture::Lives lives(lives_fixture::Text(lives_fixture::kHour, lives_fixture::Table::kNo));
  LogGate gate(*lives.core_);
  const auto executor = lives.machine_->NewExecutor("events", env::Priority::kRealTime);
  protocols::HttpRouter router;
  MountVerbs(router, *lives.core_, gate, *executor, DemoFaults::kOn);
  std::set<std::string> long_ones;
  for (const auto& [method, path] : router.Mounted()) {
    std::string asked = path;
    for (size_t brace = asked.find('{'); brace != std::string::npos; brace = asked.find('{'))
      asked.replace(brace, asked.find('}') + 1 - brace, "x");
    if (method == protocols::HttpMethod::kPost &&
        router.BodyBytesMax(method, asked, kOfRows) > (4U << 20))
      long_ones.insert(path);
  }
  EXPECT_EQ(long_ones,
            (std::set<std::string>{"/feast/push", "/feast/write-to-online-store", "/push",
                                   "/streams/{stream}/events", "/streams/{stream}/push-get",
                                   "/write-to-online-store"}));
}

// Keeps what it is given.
class BusyExecutor final : public env::Executor {
 public:
  void Post(env::Task task) override { tasks_.push_back(std::move(task)); }
  void PostAt(env::MonotonicTime /*time*/, env::Task task) override { Post(std::move(task)); }

 private:
  std::vector<env::Task> tasks_;
};

TEST(HttpRoutesTest, DeadLettersAreNotReadWhereEventsAreTyped) {
  lives_fixture::Lives lives(lives_fixture::Text(lives_fixture::kHour, lives_fixture::Table::kNo));
  LogGate gate(*lives.core_);
  BusyExecutor events;
  protocols::HttpRouter router;
  MountVerbs(router, *lives.core_, gate, events, DemoFaults::kOn);
  std::optional<protocols::HttpResponse> given;
  lives.machine_->Run([&] {
    protocols::HttpRequest request;
    request.path = "/deadletters";
    router.Dispatch(std::move(request), protocols::HttpReply([&](protocols::HttpResponse response) {
                      given = std::move(response);
                    }));
  });
  lives.machine_->RunFor(std::chrono::seconds(1));
  ASSERT_TRUE(given.has_value());
  EXPECT_EQ(given->status, 200);
  EXPECT_EQ(given->body, "[]");
}

TEST(HttpRoutesTest, EverySchemaThatIsNamedIsThere) {
  std::set<std::string_view> schemas = {""};
  for (const SchemaRow& schema : SchemaTable()) schemas.insert(schema.name);
  for (const RouteRow& row : RouteTable()) {
    EXPECT_TRUE(schemas.contains(row.request_schema)) << row.request_schema;
    for (const RouteReply& reply : row.replies)
      EXPECT_TRUE(schemas.contains(reply.schema)) << reply.schema;
  }
}

}  // namespace
}  // namespace headrace::wiring
