// Provisional answers on a whole core, on a simulated machine: what they say, what becomes of them
// when the event is lost, and that nothing durable ever shows a trace of them.

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "columns/batch_builder.h"
#include "wiring/push_fixture.h"

namespace headrace::wiring {
namespace {

using namespace fixture;  // NOLINT: the test is written in the fixture's words

PushRequest Hasty(const Payment& payment, const std::string& service = "hasty") {
  PushRequest request = Pushed::Of(service, payment.Json());
  request.answer = PushRequest::Wanted::kProvisional;
  static int keys = 0;
  request.event.idempotency_key = "key-" + std::to_string(++keys);
  return request;
}

// What the views of the service say that count the event.
std::map<std::string, std::string> Counted(const serving::FeatureAnswer& answer) {
  auto values = ValuesOf(answer, "_included");
  std::erase_if(values, [](const auto& value) { return value.first.starts_with("derived"); });
  return values;
}

TEST(Provisional, SaysWhatTheDurableAnswerWillSay) {
  size_t provisional = 0;
  size_t waited = 0;
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    std::mt19937_64 random(seed);
    Pushed pushed(seed);
    pushed.Ingest({"other", 1, 0});  // with nothing visible there is nothing to be provisional of
    int64_t now = 0;
    for (int i = 0; i < 120; ++i) {
      now += static_cast<int64_t>(random() % 40);
      Payment payment{"c" + std::to_string(random() % 3), static_cast<int64_t>(random() % 90), now};
      if (random() % 4 == 0) payment.at_s -= static_cast<int64_t>(random() % 300);
      SCOPED_TRACE("seed " + std::to_string(seed) + " event " + std::to_string(i) + " " +
                   payment.Json());
      const base::EpochId before = pushed.core_->visible();
      const PushAnswer answer = pushed.Push(Hasty(payment));
      ASSERT_TRUE(answer.features.has_value());
      if (answer.answered == PushAnswered::kProvisional) {
        ++provisional;
        EXPECT_EQ(answer.event, PushedEvent::kUnknown);
        EXPECT_EQ(answer.features->epoch, before) << "the newest durable one, and no other";
        EXPECT_TRUE(answer.features->provisional);
      } else {
        ++waited;
        EXPECT_EQ(answer.answered, PushAnswered::kWithEvent);
      }
      pushed.machine_->RunUntil([&] { return pushed.core_->visible() > before; });
      const auto later = pushed.Ask(payment.card, answer.features->as_of);
      ASSERT_EQ(Counted(*answer.features), Counted(later));
    }
  }
  EXPECT_GT(provisional, 200U);
  EXPECT_GT(waited, 20U) << "older than the key's newest, and windows of rows";
}

TEST(Provisional, TheTokenTellsWhenTheEventIsDurable) {
  Pushed pushed;
  pushed.Ingest({"other", 1, 0});
  const PushAnswer answer = pushed.Push(Hasty({"c", 5, 0}));
  ASSERT_EQ(answer.answered, PushAnswered::kProvisional);
  EXPECT_FALSE(answer.outcome.has_value());
  ASSERT_FALSE(answer.token.empty());
  pushed.machine_->RunUntil([&] { return !pushed.core_->pushes().Ask(answer.token)->pending; });
  const auto later = pushed.core_->pushes().Ask(answer.token);
  ASSERT_TRUE(later && later->outcome && *later->outcome);
  EXPECT_EQ((**later->outcome).accepted, 1U);
  EXPECT_GT((**later->outcome).epoch, answer.features->epoch);
  const auto figures = pushed.core_->pushes().figures();
  EXPECT_EQ(figures.provisional, 1U);
  EXPECT_EQ(figures.provisional_not_in, 0U);
  EXPECT_EQ(figures.late_known_after, 0U);
  EXPECT_EQ(figures.pending, 0U);
}

TEST(Provisional, IsRefusedWhereNoConsumerAllowsIt) {
  Pushed pushed;
  pushed.Ingest({"other", 1, 0});
  const base::EpochId before = pushed.core_->visible();
  const base::Error refusal = pushed.Refusal(Hasty({"c", 5, 0}, "scoring"));
  EXPECT_EQ(refusal.code(), ErrorCode::kFailedPrecondition);
  EXPECT_NE(refusal.message().find("provisional: allowed"), std::string::npos);
  pushed.machine_->RunFor(std::chrono::seconds(1));
  EXPECT_EQ(pushed.core_->visible(), before) << "nothing was taken in";
}

TEST(Provisional, IsRefusedWithoutAKeyToAskBy) {
  Pushed pushed;
  PushRequest request = Hasty({"c", 5, 0});
  request.event.idempotency_key.reset();
  EXPECT_EQ(pushed.Refusal(request).code(), ErrorCode::kInvalidInput);
}

TEST(Provisional, WhatCannotBeToldBeforeIsToldAfter) {
  Pushed pushed;
  EXPECT_EQ(pushed.Push(Hasty({"c", 60, 0}, "made")).answered, PushAnswered::kWithEvent)
      << "a row of a derived stream is not there yet";
  pushed.Ingest({"c", 1, 7200});
  const PushAnswer late = pushed.Push(Hasty({"c", 1, 0}));
  EXPECT_EQ(late.event, PushedEvent::kRefused) << "and it counts nowhere";
  const PushAnswer of_a_new_key = pushed.Push(Hasty({"d", 1, 0}));
  EXPECT_EQ(of_a_new_key.event, PushedEvent::kRefused) << "though no row of the key is newer";
  EXPECT_NE(of_a_new_key.answered, PushAnswered::kProvisional);
}

TEST(Provisional, ARepeatIsNotCountedBesideItself) {
  Pushed pushed;
  pushed.Ingest({"other", 1, 0});
  PushRequest request = Hasty({"c", 5, 0});
  request.event.idempotency_key = "p-1";
  const auto first = pushed.Begin(request);
  const auto second = pushed.Begin(request);
  EXPECT_EQ(pushed.Await(first).answered, PushAnswered::kProvisional);
  EXPECT_EQ(Number(pushed.Await(first), "sliding_included.n_1h"), 1);
  EXPECT_EQ(Number(pushed.Await(second), "sliding_included.n_1h"), 1);
  const std::string token = pushed.Await(first).token;
  pushed.machine_->RunUntil([&] { return !pushed.core_->pushes().Ask(token)->pending; });
  const PushAnswer third = pushed.Push(request);
  EXPECT_EQ(third.answered, PushAnswered::kWithEvent);
  EXPECT_EQ(third.outcome->repeat, ingest::Repeat::kRepeated);
  EXPECT_EQ(Number(third, "sliding_included.n_1h"), 1);
}

// An epoch that became visible while the answer was read may have the event: then it must not be
// counted beside it.
TEST(Provisional, NoAnswerOnceAnEpochHasTheEvent) {
  Pushed pushed;
  pushed.Ingest({"c", 5, 0});
  const base::EpochId has_it = pushed.core_->visible();
  const auto ask = [&](base::EpochId admitted) {
    columns::BatchBuilder row(Definition()->streams[0].schema());
    row.column(0).AppendText("c");
    row.column(1).AppendInt(5);
    row.column(2).AppendInt(1'000'000'000'000'000);
    serving::FeatureQuery query{.service = "hasty", .features = {}, .inputs = {}, .min_epoch = {}};
    query.inputs = {{"card", {columns::Value::String("c")}}};
    query.ahead = std::make_shared<const serving::EventAhead>(
        pipeline::EventAhead{"payments", row.Finish()},
        [admitted](base::EpochId epoch) { return admitted > epoch; });
    return pushed.core_->answers().Answer(query);
  };
  const auto counted = ask(has_it);
  ASSERT_FALSE(counted.has_value());
  EXPECT_EQ(counted.error().code(), ErrorCode::kConflict);
  EXPECT_TRUE(ask({has_it.value + 1}).has_value());
}

// It dies with an event that was answered for. What is read afterwards is of what is durable:
// without it, or with it once; the epoch that the answer named is there with what it had; and its
// own number may be another event's by then.
TEST(Provisional, ALostEventLeavesNoTrace) {
  size_t lost = 0;
  for (const std::string point :
       {"log.before_seal", "log.after_seal", "log.before_write", "log.after_write",
        "log.after_sync", "log.before_ack", "applier.before_apply", "applier.after_visible"}) {
    SCOPED_TRACE(point);
    Pushed pushed;
    pushed.Ingest({"c", 1, 0});
    const auto as_of = base::Timestamp{1'000'000'010'000'000};
    const auto before = Counted(pushed.Ask("c", as_of));
    Faults faults;
    faults.crash_point = point;
    faults.crash_hit = pushed.machine_->crash_point_visits().contains(point)
                           ? pushed.machine_->crash_point_visits().find(point)->second + 1
                           : 1;
    pushed.machine_->faults() = faults;
    PushRequest request = Hasty({"c", 5, 10});
    request.event.idempotency_key = "p-17";
    const auto answered = pushed.Begin(request);
    ASSERT_TRUE(*answered && **answered) << "it is there before anything is written";
    const PushAnswer answer = ***answered;
    ASSERT_EQ(answer.answered, PushAnswered::kProvisional);
    EXPECT_EQ(Number(answer, "sliding_included.n_1h"), 2);
    pushed.machine_->RunFor(std::chrono::seconds(1));
    ASSERT_TRUE(pushed.machine_->crashed());
    pushed.Die();

    EXPECT_GE(pushed.core_->visible(), answer.features->epoch)
        << "what the answer was of is still there";
    EXPECT_FALSE(pushed.core_->pushes().Ask(answer.token).has_value()) << "of another life";
    // Somebody else's event is the next one, whatever number the lost one would have had.
    pushed.Ingest({"other", 1, 11});
    const auto after = Counted(pushed.Ask("c", as_of));
    const bool survived = after != before;
    if (survived) {
      EXPECT_EQ(after, Counted(*answer.features)) << "once";
    }
    lost += survived ? 0 : 1;

    PushRequest again = request;
    again.answer = PushRequest::Wanted::kDurable;
    const PushAnswer durable = pushed.Push(again);
    EXPECT_EQ(durable.event, PushedEvent::kDurable);
    EXPECT_EQ(durable.outcome->repeat == ingest::Repeat::kRepeated, survived);
    EXPECT_EQ(Number(durable, "sliding_included.n_1h"), 2) << "once";
    EXPECT_EQ(Counted(pushed.Ask("c", as_of)), Counted(*answer.features));
  }
  EXPECT_GE(lost, 3U);
}

}  // namespace
}  // namespace headrace::wiring
