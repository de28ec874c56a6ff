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

}  // namespace
}  // namespace headrace::wiring
