#include "wiring/events_intake.h"

#include <gmock/gmock.h>

#include <deque>
#include <string>
#include <vector>

#include "ingest/testing/example_stream.h"
#include "ingest/testing/fake_gate.h"

namespace headrace::wiring {
namespace {

using protocols::HttpReply;
using protocols::HttpRequest;
using protocols::HttpResponse;
using ::testing::ElementsAre;

// Keeps what is posted until it is told to run it.
class HeldExecutor final : public env::Executor {
 public:
  void Post(env::Task task) override { tasks_.push_back(std::move(task)); }
  void PostAt(env::MonotonicTime, env::Task task) override { Post(std::move(task)); }
  size_t waiting() const { return tasks_.size(); }
  void RunAll() {
    for (; !tasks_.empty(); tasks_.pop_front()) tasks_.front()();
  }

 private:
  std::deque<env::Task> tasks_;
};

class EventsIntakeTest : public ::testing::Test {
 protected:
  // A batch of `producer`, whose body has at least `bytes`.
  void Post(uint64_t sequence, size_t bytes) {
    std::string body;
    do {
      body += R"({"id":1,"at":"2001-01-31T09:15:00Z","origin":"ORD","delay":5})"
              "\n";
    } while (body.size() < bytes);
    body.reserve(body.size() + 64);
    HttpRequest request;
    request.method = protocols::HttpMethod::kPost;
    request.path = "/streams/landings/events";
    request.parameters = {{"stream", "landings"}};
    request.fields = {{"headrace-producer", "gate"},
                      {"headrace-sequence", std::to_string(sequence)}};
    request.body = std::move(body);
    intake_.Take(std::move(request), HttpReply([this](const HttpResponse& response) {
                   statuses_.push_back(response.status);
                 }));
  }

  ingest::testing::FakeGate gate_{{ingest::testing::Landings()}};
  base::MemoryBudget budget_{64ULL << 20};
  HeldExecutor events_;
  EventsIntake intake_{gate_, budget_, events_};
  std::vector<int> statuses_;
};

TEST_F(EventsIntakeTest, ASmallBodyIsTypedAtOnce) {
  Post(1, 1);
  EXPECT_EQ(events_.waiting(), 0U);
  EXPECT_THAT(statuses_, ElementsAre(200));
}

TEST_F(EventsIntakeTest, ALargeBodyIsLeftToTheExecutor) {
  Post(1, ingest::TypingQueue::kTypedAtOnceBytes + 1);
  EXPECT_EQ(events_.waiting(), 1U);
  EXPECT_THAT(statuses_, ElementsAre());
  events_.RunAll();
  EXPECT_THAT(statuses_, ElementsAre(200));
}

// A gap in the sequence would be refused.
TEST_F(EventsIntakeTest, ASmallBodyDoesNotOvertakeALargeOne) {
  Post(1, ingest::TypingQueue::kTypedAtOnceBytes + 1);
  Post(2, 1);
  EXPECT_EQ(events_.waiting(), 2U);
  events_.RunAll();
  EXPECT_THAT(statuses_, ElementsAre(200, 200));
  Post(3, 1);
  EXPECT_EQ(events_.waiting(), 0U);
  EXPECT_THAT(statuses_, ElementsAre(200, 200, 200));
}

}  // namespace
}  // namespace headrace::wiring
