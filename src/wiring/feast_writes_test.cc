#include "wiring/feast_writes.h"

#include <gtest/gtest.h>

#include "base/memory_budget.h"
#include "ingest/testing/fake_gate.h"
#include "wiring/lives_fixture.h"

namespace headrace::wiring {
namespace {

class FeastWritesTest : public testing::Test {
 protected:
  FeastWritesTest() {
    MountFeastWrites(router_,
                     {.gate = &gate_, .budget = &budget_, .events = nullptr, .definition = [this] {
                        return definition_;
                      }});
  }
  protocols::HttpResponse Push(const std::string& frame, const std::string& path = "/push") {
    protocols::HttpRequest request;
    request.method = protocols::HttpMethod::kPost;
    request.path = path;
    request.body = R"({"push_source_name":"payments","df":)" + frame + "}";
    request.body.reserve(request.body.size() + 64);
    protocols::HttpResponse given;
    router_.Dispatch(std::move(request),
                     protocols::HttpReply(
                         [&](protocols::HttpResponse response) { given = std::move(response); }));
    return given;
  }

  const pipeline::PipelineRef definition_ =
      lives_fixture::Define(lives_fixture::Text(lives_fixture::kHour, lives_fixture::Table::kNo));
  ingest::testing::FakeGate gate_{
      {{base::StreamId{1}, "payments", definition_->streams.front().contract}}};
  base::MemoryBudget budget_{256U << 10};
  protocols::HttpRouter router_;
};

// Which rows were refused is forgotten before that they were.
TEST_F(FeastWritesTest, ARepeatOfARefusedFrameIsRefusedWithoutItsList) {
  gate_.AnswerWith({.epoch = {7}, .refused_rows = 3, .repeat = ingest::Repeat::kRepeated});
  for (const auto& [path, status] : {std::pair{"/push", 422}, std::pair{"/feast/push", 500}}) {
    const protocols::HttpResponse given =
        Push(R"({"card":[1],"amount":[1.5],"paid_at":["2001-01-01T00:05:00Z"]})", path);
    EXPECT_EQ(given.status, status) << given.body;
    EXPECT_NE(given.body.find("3 rows were refused"), std::string::npos) << given.body;
  }
}

TEST_F(FeastWritesTest, AFrameNamesAColumnOnce) {
  const protocols::HttpResponse given = Push(R"({"card":[1],"amount":[1.5],"card":[2]})");
  EXPECT_EQ(given.status, 422);
  EXPECT_NE(given.body.find("Named twice"), std::string::npos) << given.body;
}

// Of what reading it takes, before it is read.
TEST_F(FeastWritesTest, AFrameIsChargedBeforeItIsRead) {
  const std::string ones = std::string(1800, ' ');
  EXPECT_EQ(Push("[" + ones + "]").status, 422);  // no frame
  const base::Result<base::MemoryCharge> taken =
      budget_.TryCharge(base::MemoryAccount::kState, 210U << 10);
  ASSERT_TRUE(taken);
  EXPECT_EQ(Push("[" + ones + "]").status, 429);
}

}  // namespace
}  // namespace headrace::wiring
