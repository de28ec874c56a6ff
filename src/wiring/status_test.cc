// What the status of a running core says of now.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "wiring/lives_fixture.h"

namespace headrace::wiring {
namespace {

using namespace lives_fixture;  // NOLINT: the test is written in the fixture's words
using testing::StartsWith;

nlohmann::json Status(Lives& lives) {
  nlohmann::json status;
  lives.machine_->Run([&] { status = nlohmann::json::parse(lives.core_->StatusJson()); });
  return status;
}

TEST(Status, WhatWasMeasuredIsRecentForTwoMinutes) {
  Lives lives(Text(kHour, Table::kNo));
  EXPECT_THAT(Status(lives)["verdict"]["says"].get<std::string>(),
              StartsWith("nothing measured yet"));
  lives.Send(10);
  (void)lives.Answers();
  nlohmann::json status = Status(lives);
  for (const char* stage : {"ingest", "transform", "serve", "visible"})
    EXPECT_GT(status["recent"]["stages"][stage]["count"], 0) << stage;
  EXPECT_GT(status["recent"]["fdatasync"]["count"], 0);
  EXPECT_EQ(status["promise"]["together"]["verdict"], "kept");
  lives.machine_->RunFor(std::chrono::seconds(125));
  status = Status(lives);
  for (const char* stage : {"ingest", "transform", "serve", "visible"}) {
    EXPECT_EQ(status["recent"]["stages"][stage], nlohmann::json({{"count", 0}})) << stage;
    EXPECT_GT(status["stages"][stage]["count"], 0) << stage;
  }
  EXPECT_THAT(status["verdict"]["says"].get<std::string>(), StartsWith("no recent events"));
}

TEST(Status, TellsHowLongRowsWaitToBeVisible) {
  Lives lives(Text(kHour, Table::kYes));
  lives.Send(10);
  EXPECT_EQ(Status(lives)["backlog_age_ms"], 0.0);
  EXPECT_EQ(Status(lives)["tables"][0]["commit_every_ms"], 1'000.0);
  columns::BatchBuilder builder(lives.definition_->streams[0].schema());
  builder.column(0).AppendInt(1);
  builder.column(1).AppendDouble(1);
  builder.column(2).AppendInt(lives.now_);
  lives.machine_->Run([&] {
    columns::EventBatch batch = lives.definition_->streams[0].contract->Enforce(builder.Finish());
    batch.stream = *lives.core_->StreamNamed("payments");
    lives.core_->Submit(std::move(batch), [](const auto& ack) { EXPECT_TRUE(ack); });
  });
  ASSERT_TRUE(lives.machine_->RunUntil(
      [&] { return lives.core_->log_status().durable > lives.core_->visible(); }));
  EXPECT_GT(Status(lives)["backlog_age_ms"], 0.0);
}

}  // namespace
}  // namespace headrace::wiring
