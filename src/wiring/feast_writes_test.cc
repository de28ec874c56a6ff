#include "wiring/feast_writes.h"

#include <gtest/gtest.h>

#include "base/memory_budget.h"
#include "ingest/testing/fake_gate.h"
#include "wiring/lives_fixture.h"

namespace headrace::wiring {
namespace {

// Which rows were refused is forgotten before that they were.
TEST(FeastWrites, ARepeatOfARefusedFrameIsRefusedWithoutItsList) {
  auto definition =
      lives_fixture::Define(lives_fixture::Text(lives_fixture::kHour, lives_fixture::Table::kNo));
  const pipeline::StreamDefinition& payments = definition->streams.front();
  ingest::testing::FakeGate gate({{base::StreamId{1}, payments.name, payments.contract}});
  gate.AnswerWith({.epoch = {7}, .refused_rows = 3, .repeat = ingest::Repeat::kRepeated});
  base::MemoryBudget budget(1U << 30);
  protocols::HttpRouter router;
  MountFeastWrites(router, {.gate = &gate, .budget = &budget, .events = nullptr, .definition = [&] {
                              return definition;
                            }});
  for (const auto& [path, status] : {std::pair{"/push", 422}, std::pair{"/feast/push", 500}}) {
    protocols::HttpRequest request;
    request.method = protocols::HttpMethod::kPost;
    request.path = path;
    request.body = R"({"push_source_name":")" + payments.name +
                   R"(","df":{"card":[1],"amount":[1.5],"paid_at":["2001-01-01T00:05:00Z"]}})";
    request.body.reserve(request.body.size() + 64);
    protocols::HttpResponse given;
    router.Dispatch(std::move(request), protocols::HttpReply([&](protocols::HttpResponse response) {
                      given = std::move(response);
                    }));
    EXPECT_EQ(given.status, status) << given.body;
    EXPECT_NE(given.body.find("3 rows were refused"), std::string::npos) << given.body;
  }
}

}  // namespace
}  // namespace headrace::wiring
