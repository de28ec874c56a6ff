// Questions that wait while everything ends.

#include "wiring/lookback_questions.h"

#include <gtest/gtest.h>

#include "wiring/lives_fixture.h"
#include "wiring/lookback_verbs.h"

namespace headrace::wiring {
namespace {

using namespace lives_fixture;  // NOLINT: the test is written in the fixture's words

// A question that waits for an epoch that is not there, and its answer's status; 0: none yet.
struct Waiting {
  explicit Waiting(std::string body = R"({"features": ["card:n_1h"], "entities": {"card": [1]}})") {
    MountLookback(router, questions, lives.core_->answers());
    protocols::HttpRequest request;
    request.method = protocols::HttpMethod::kPost;
    request.path = "/get-features-at";
    request.query = {{"min_epoch", "1"}, {"deadline_ms", "30000"}};
    request.body = std::move(body);
    lives.machine_->Run([&] {
      router.Dispatch(std::move(request),
                      protocols::HttpReply([this](const auto& answer) { status = answer.status; }));
    });
  }
  int status = 0;
  Lives lives{Text(kHour, Table::kNo)};
  std::shared_ptr<LookbackQuestions> questions =
      std::make_shared<LookbackQuestions>(lives.core_->lookback());
  protocols::HttpRouter router;
};

TEST(LookbackQuestions, AnEpochThatComesIsAsked) {
  Waiting waiting;
  EXPECT_EQ(waiting.status, 0);
  waiting.lives.Send(1);
  waiting.lives.machine_->RunFor(std::chrono::seconds(1));
  EXPECT_EQ(waiting.status, 200);
}

TEST(LookbackQuestions, WhatWaitsForAnEpochIsCharged) {
  constexpr size_t kKeys = 4'000;
  std::string keys = "1";
  for (size_t i = 1; i < kKeys; ++i) keys += ",1";
  Waiting waiting(R"({"features": ["card:n_1h"], "entities": {"card": [)" + keys + "]}}");
  const base::MemoryBudget& budget = waiting.lives.core_->budget();
  EXPECT_GE(budget.used_bytes(base::MemoryAccount::kReplies), kKeys * sizeof(columns::Value));
  waiting.lives.machine_->RunFor(std::chrono::seconds(31));
  EXPECT_NE(waiting.status, 0);
  EXPECT_EQ(budget.used_bytes(base::MemoryAccount::kReplies), 0U);
}

TEST(LookbackQuestions, WhoWaitsDoesNotKeepThemBeyondTheCore) {
  Waiting waiting;
  waiting.router = protocols::HttpRouter();
  const std::weak_ptr<LookbackQuestions> left = waiting.questions;
  waiting.questions.reset();
  EXPECT_TRUE(left.expired());
  waiting.lives.Send(1);
  waiting.lives.machine_->RunFor(std::chrono::seconds(1));
  EXPECT_EQ(waiting.status, 503);
}

TEST(LookbackQuestions, NothingIsAskedOnceTheyAreClosed) {
  Waiting waiting;
  waiting.lives.machine_->Run([&] { waiting.questions->Close(); });
  waiting.lives.Send(1);
  waiting.lives.machine_->RunFor(std::chrono::seconds(1));
  EXPECT_EQ(waiting.status, 503);
}

TEST(LookbackQuestions, TooManySayWhatTheyAre) {
  Lives lives{Text(kHour, Table::kNo)};
  LookbackQuestions pages(lives.core_->lookback(), "pages of dead letters");
  std::vector<std::string> told;
  lives.machine_->Run([&] {
    for (size_t i = 0; i <= kLookbacksMax; ++i)
      pages.Put(
          std::chrono::seconds(1), [](env::MonotonicTime) { return base::Result<void>(); },
          [&](const base::Result<void>& answer) {
            if (!answer) told.push_back(answer.error().message());
          });
    pages.Close();
  });
  EXPECT_EQ(told,
            std::vector<std::string>{"32 pages of dead letters wait already: ask again later"});
}

TEST(LookbackQuestions, AreShort) {
  Waiting waiting;
  for (const char* path : {"/explain", "/get-features-at", "/last-events"})
    EXPECT_EQ(waiting.router.BodyBytesMax(protocols::HttpMethod::kPost, path, 100U << 20),
              kLookbackBytesMax)
        << path;
}

}  // namespace
}  // namespace headrace::wiring
