#include "ingest/http/events_endpoint.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "contract/contract.h"
#include "ingest/testing/example_stream.h"
#include "ingest/testing/fake_gate.h"

namespace headrace::ingest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kGood =
    R"({"id":1,"at":"2001-01-31T09:15:00Z","origin":"ORD","delay":5})";

class EventsEndpoint : public ::testing::Test {
 protected:
  base::Result<EventsReply> Post(EventsRequest request) {
    base::Result<EventsReply> result = base::Fail(base::ErrorCode::kInternal, "not answered");
    HandleEvents(std::move(request), gate_, budget_, limits_,
                 [&](base::Result<EventsReply> reply) { result = std::move(reply); });
    return result;
  }
  base::Result<EventsReply> PostBody(std::string body) {
    return Post({.stream = "landings", .body = std::move(body)});
  }
  nlohmann::json Answer(std::string body) {
    const auto reply = PostBody(std::move(body));
    EXPECT_TRUE(reply.has_value());
    return reply ? nlohmann::json::parse(reply->body) : nlohmann::json();
  }
  std::string Refusal(EventsRequest request) {
    const auto reply = Post(std::move(request));
    EXPECT_FALSE(reply.has_value());
    EXPECT_EQ(gate_.rows(), 0U);
    return reply ? std::string() : reply.error().message();
  }

  testing::FakeGate gate_{{testing::Landings()}};
  base::MemoryBudget budget_{1 << 20};
  EventsLimits limits_{.body_bytes_max = 4096, .row_bytes_max = 1024, .rows_max = 10};
};

TEST_F(EventsEndpoint, GoodRowsGoInAndBadOnesAreNamed) {
  const std::string too_late =
      R"({"id":2,"at":"2001-01-31T09:15:00Z","origin":"ORD","delay":99999})";
  const std::string broken = R"({"id":3,"at":)";
  const auto answer =
      Answer(std::string(kGood) + "\n" + too_late + "\n" + broken + "\n" + std::string(kGood));
  EXPECT_EQ(answer["accepted"], 2);
  EXPECT_EQ(answer["refused_rows"], 2);
  EXPECT_EQ(answer["refused"][0]["row"], 1);
  EXPECT_EQ(answer["refused"][0]["field"], "delay");
  EXPECT_EQ(answer["refused"][0]["rule"], "range");
  EXPECT_EQ(answer["refused"][1]["row"], 2);
  EXPECT_EQ(answer["refused"][1]["rule"], "json");
  EXPECT_EQ(answer["durability"], "fsync");
  EXPECT_EQ(answer["repeated"], false);

  const auto batches = gate_.batches();
  ASSERT_EQ(batches.size(), 1U);
  EXPECT_EQ(batches[0].stream.value, 7U);
  EXPECT_THAT(batches[0].row_numbers, ElementsAre(0, 3));
  EXPECT_EQ(batches[0].rejected[0].payload, too_late) << "the sender's own text";
  EXPECT_EQ(batches[0].rejected[1].payload, broken);
}

TEST_F(EventsEndpoint, NoRowsAreAHeartbeatIfTheyAreSaidToBeNone) {
  for (const char* body : {"[]", " [ ] \n"}) {
    const auto answer = Answer(body);
    EXPECT_EQ(answer["accepted"], 0);
    EXPECT_EQ(gate_.batches().back().request_rows(), 0U);
  }
  EXPECT_EQ(gate_.batches().size(), 2U);
  for (const char* body : {"", " \n\n "})
    EXPECT_NE(Refusal({.stream = "landings", .body = body}).find("no rows"), std::string::npos);
  EXPECT_EQ(gate_.batches().size(), 2U);
}

TEST_F(EventsEndpoint, ALineOfNdjsonSpoilsNoOtherWhateverItBeginsWith) {
  for (const char* media : {"application/x-ndjson", "application/jsonl; charset=utf-8",
                            "Application/NDJSON ; charset=utf-8"}) {
    const auto reply = Post({.stream = "landings",
                             .body = "[1, 2\n" + std::string(kGood) + "\n[]\n",
                             .content_type = media});
    ASSERT_TRUE(reply.has_value()) << media;
    const auto answer = nlohmann::json::parse(reply->body);
    EXPECT_EQ(answer["accepted"], 1);
    EXPECT_EQ(answer["refused"][0]["row"], 0);
    EXPECT_EQ(answer["refused"][0]["rule"], "json");
    EXPECT_EQ(answer["refused"][1]["row"], 2);
    EXPECT_EQ(gate_.batches().back().rejected[0].payload, "[1, 2");
  }
}

TEST_F(EventsEndpoint, AllRefusedIs422) {
  const auto reply = PostBody("nonsense");
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status, 422);
  EXPECT_EQ(gate_.batches()[0].rejected[0].payload, "nonsense");
  EXPECT_EQ(PostBody(std::string(kGood))->status, 200);
}

TEST_F(EventsEndpoint, ARowOverTheLimitIsRefusedAlone) {
  const auto answer = Answer(std::string(kGood) + "\n{\"id\":\"" + std::string(2000, 'x') + "\"}");
  EXPECT_EQ(answer["accepted"], 1);
  EXPECT_EQ(answer["refused"][0]["rule"], "size");
  EXPECT_EQ(gate_.batches()[0].rejected[0].payload.size(), 2009U);
}

TEST_F(EventsEndpoint, AProducersRepeatGetsTheFirstAnswer) {
  const EventsRequest first{
      .stream = "landings", .body = std::string(kGood), .producer = "app", .sequence = "1"};
  EXPECT_EQ(Post(first)->status, 200);
  const auto again = nlohmann::json::parse(Post(first)->body);
  EXPECT_EQ(again["repeated"], true);
  EXPECT_EQ(again["accepted"], 1);
  EXPECT_EQ(gate_.rows(), 1U);
  EXPECT_EQ(gate_.batches()[0].source.producer, "app");
}

TEST_F(EventsEndpoint, SourceAndAtomicityReachTheGate) {
  EXPECT_TRUE(Post({.stream = "landings",
                    .body = std::string(kGood),
                    .idempotency_key = "k-1",
                    .atomicity = columns::Atomicity::kAllOrNone}));
  EXPECT_EQ(gate_.batches()[0].source.idempotency_key, "k-1");
  EXPECT_EQ(gate_.batches()[0].atomicity, columns::Atomicity::kAllOrNone);
}

TEST_F(EventsEndpoint, RequestsThatSayTooLittleOrTooMuch) {
  const std::string body(kGood);
  EXPECT_THAT(Refusal({.stream = "landing", .body = body}), HasSubstr("no stream `landing`"));
  EXPECT_THAT(Refusal({.stream = "landings", .body = ""}), HasSubstr("no rows"));
  EXPECT_THAT(Refusal({.stream = "landings", .body = body, .producer = "a"}),
              HasSubstr("belong together"));
  EXPECT_THAT(Refusal({.stream = "landings", .body = body, .sequence = "1"}),
              HasSubstr("belong together"));
  EXPECT_THAT(Refusal({.stream = "landings", .body = body, .producer = "a", .sequence = "0"}),
              HasSubstr("count 1, 2, 3"));
  EXPECT_THAT(Refusal({.stream = "landings", .body = body, .producer = "a", .sequence = "1x"}),
              HasSubstr("count 1, 2, 3"));
  EXPECT_THAT(Refusal({.stream = "landings", .body = body, .producer = "", .sequence = "1"}),
              HasSubstr("1 to 256"));
  EXPECT_THAT(
      Refusal({.stream = "landings", .body = body, .producer = "delta/landings", .sequence = "1"}),
      HasSubstr("read as sources"));
  EXPECT_THAT(Refusal({.stream = "landings",
                       .body = body,
                       .producer = "a",
                       .sequence = "1",
                       .idempotency_key = "k"}),
              HasSubstr("not both"));
  EXPECT_THAT(Refusal({.stream = "landings", .body = std::string(5000, ' ')}),
              HasSubstr("more than 4096"));
}

TEST_F(EventsEndpoint, TheBudgetIsChargedUntilTheAnswer) {
  testing::FakeGate slow({testing::Landings()}, testing::FakeGate::Answering::kWhenTold);
  int answers = 0;
  HandleEvents({.stream = "landings", .body = std::string(kGood)}, slow, budget_, limits_,
               [&](const base::Result<EventsReply>&) { ++answers; });
  EXPECT_EQ(answers, 0);
  EXPECT_GT(budget_.used_bytes(base::MemoryAccount::kIngest), 0U);
  EXPECT_TRUE(slow.AnswerOne());
  EXPECT_EQ(answers, 1);
  EXPECT_EQ(budget_.used_bytes(base::MemoryAccount::kIngest), 0U);

  base::MemoryBudget tiny(10);
  HandleEvents({.stream = "landings", .body = std::string(kGood)}, gate_, tiny, limits_,
               [&](const base::Result<EventsReply>& reply) {
                 EXPECT_EQ(reply.error().code(), base::ErrorCode::kResourceExhausted);
               });
}

TEST_F(EventsEndpoint, TheGatesErrorIsTheAnswer) {
  gate_.FailWith(base::Error(base::ErrorCode::kStorageFull, "the disk is full"));
  EXPECT_EQ(PostBody(std::string(kGood)).error().code(), base::ErrorCode::kStorageFull);
}

}  // namespace
}  // namespace headrace::ingest
