// Events that wait to be typed.

#include "serving/resp/push_commands.h"

#include <gtest/gtest.h>

#include <optional>

#include "serving/push/push_fixture.h"
#include "serving/resp/connection_commands.h"

namespace headrace::serving {
namespace {

using protocols::RespReply;
using protocols::RespWriter;
using testing::PushedTrips;
using testing::ServedTrips;

class Call final : public protocols::RespCall {
 public:
  Call(std::span<const std::string_view> arguments, RespWriter& out) : RespCall(arguments, out) {}
  RespReply Later() override {
    return RespReply([this](RespReply::Write write) { write(out()); });
  }
  void CloseAfter() override {}
  base::Result<void> Keep() override { return {}; }
  size_t kept() const override { return 0; }
  void DropKept() override {}
  void RunKept() override {}
};

class EventsToBeTyped : public ::testing::Test {
 protected:
  // The answer so far.
  std::string Send(std::string_view command, base::MemoryBudget& budget) {
    const RespVerbs verbs{.answers = trips_.service.get(),
                          .info = {},
                          .gate = &pushed_.gate,
                          .pushes = pushed_.pushes.get(),
                          .budget = &budget,
                          .typing = typing_};
    arguments_ = {command, "trips", event_};
    if (command == "features.pushget") arguments_.insert(arguments_.begin() + 1, "fresh");
    out_.clear();
    call_.emplace(arguments_, writer_);
    PushCommands commands(verbs);
    EXPECT_TRUE(commands.Run(*CommandNamed(command), nullptr, *call_));
    return out_;
  }

  PushedTrips pushed_{PushedTrips::Answering::kAtOnce};
  ServedTrips& trips_ = pushed_.trips;
  testing::HandExecutor events_{trips_.clock};
  std::shared_ptr<ingest::TypingQueue> typing_ = std::make_shared<ingest::TypingQueue>(events_);
  std::string event_ = std::string(PushedTrips::kTrip) + std::string(100'000, ' ');
  std::string out_;
  RespWriter writer_{protocols::RespVersion::k3, out_};
  std::vector<std::string_view> arguments_;
  std::optional<Call> call_;
};

TEST_F(EventsToBeTyped, AreChargedWhileTheyWait) {
  for (const std::string_view command : {"features.push", "features.pushget"}) {
    trips_.Apply({{0, "ORD", "ATL", 1, 10}});
    EXPECT_EQ(Send(command, trips_.budget), "");
    EXPECT_GE(trips_.budget.used_bytes(base::MemoryAccount::kIngest), event_.size()) << command;
    events_.RunDue();
    trips_.executor.RunDue();
    EXPECT_TRUE(out_.starts_with('%')) << out_;
    EXPECT_EQ(trips_.budget.used_bytes(base::MemoryAccount::kIngest), 0U) << command;
  }
}

TEST_F(EventsToBeTyped, AreRefusedWhereThereIsNoRoom) {
  base::MemoryBudget small(50'000);
  for (const std::string_view command : {"features.push", "features.pushget"})
    EXPECT_TRUE(Send(command, small).starts_with("-TRYAGAIN ")) << out_;
  EXPECT_EQ(pushed_.gate.rows(), 0U);
}

// Which rows were refused is forgotten before that all were.
TEST_F(EventsToBeTyped, ThatWereAllRefusedAreSoWithoutTheirList) {
  trips_.Apply({{0, "ORD", "ATL", 1, 10}});
  pushed_.gate.AnswerWith({.epoch = {7}, .refused_rows = 1, .repeat = ingest::Repeat::kRepeated});
  EXPECT_EQ(Send("features.push", trips_.budget), "");
  events_.RunDue();
  EXPECT_TRUE(out_.starts_with("-REFUSED ")) << out_;
  EXPECT_NE(out_.find("dead letters of epoch 7"), std::string::npos) << out_;
}

}  // namespace
}  // namespace headrace::serving
