// Push and get on a whole core, on a simulated machine: the event in its own answer, deadlines
// while the disk is slow, deaths between the log and the answer.

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "columns/batch_builder.h"
#include "wiring/push_fixture.h"

namespace headrace::wiring {
namespace {

using namespace fixture;  // NOLINT: the test is written in the fixture's words

// Another core is given the same events by plain ingest, one after the other: what it says after an
// event is what its push must have said of views that count it, and what it said before of those
// that do not.
TEST(Push, TheEventIsInItsOwnAnswerWhereTheViewSaysSo) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Pushed pushed(seed);
    Pushed plain(seed);
    pushed.Ingest({"other", 1, 0});
    plain.Ingest({"other", 1, 0});
    std::mt19937_64 random(seed);
    int64_t now = 0;
    for (int i = 0; i < 60; ++i) {
      now += static_cast<int64_t>(random() % 40);
      const bool late = random() % 6 == 0;
      const Payment payment{"c" + std::to_string(random() % 2),
                            static_cast<int64_t>(random() % 100),
                            late ? now - static_cast<int64_t>(random() % 300) : now};
      const PushAnswer answer = pushed.Push(Pushed::Of("all", payment.Json()));
      ASSERT_EQ(answer.answered, PushAnswered::kWithEvent);
      ASSERT_EQ(answer.event, PushedEvent::kDurable);
      ASSERT_EQ(answer.features->epoch, answer.outcome->epoch);
      const base::Timestamp as_of = answer.features->as_of;
      const auto before = plain.Ask(payment.card, as_of);
      plain.Ingest(payment);
      const auto after = plain.Ask(payment.card, as_of);
      ASSERT_EQ(ValuesOf(*answer.features, "_included"), ValuesOf(after, "_included")) << i;
      ASSERT_EQ(ValuesOf(*answer.features, "_excluded"), ValuesOf(before, "_excluded")) << i;
    }
  }
}

// Each sees the others of its epoch, and leaves out itself alone.
TEST(Push, TwoOfOneKeyInOneEpoch) {
  Pushed pushed;
  std::vector<std::shared_ptr<Outcome>> begun;
  for (int i = 0; i < 3; ++i)
    begun.push_back(pushed.Begin(Pushed::Of("scoring", Payment{"c", 10, 100}.Json())));
  const PushAnswer first = pushed.Await(begun[0]);
  const PushAnswer second = pushed.Await(begun[1]);
  const PushAnswer third = pushed.Await(begun[2]);
  ASSERT_EQ(first.outcome->epoch, second.outcome->epoch);
  ASSERT_EQ(second.outcome->epoch, third.outcome->epoch);
  for (const PushAnswer* answer : {&first, &second, &third}) {
    EXPECT_EQ(Number(*answer, "sliding_included.n_1h"), 3);
    EXPECT_EQ(Number(*answer, "sliding_excluded.n_1h"), 2);
  }
}

TEST(Push, TheTwoOfOneEpochAreToldApart) {
  Pushed pushed;
  std::vector<std::shared_ptr<Outcome>> begun;
  for (const int64_t amount : {1, 10, 30})
    begun.push_back(pushed.Begin(Pushed::Of("all", Payment{"c", amount, 100}.Json())));
  EXPECT_EQ(Number(pushed.Await(begun[1]), "sliding_excluded.sum_1h"), 31);
  EXPECT_EQ(Number(pushed.Await(begun[2]), "sliding_excluded.sum_1h"), 11);
  EXPECT_EQ(Number(pushed.Await(begun[2]), "sliding_included.sum_1h"), 41);
}

Faults SlowDisk() {
  Faults faults;
  faults.sync_min = milliseconds(300);
  faults.sync_max = milliseconds(400);
  return faults;
}

class AtADeadline : public ::testing::Test {
 protected:
  AtADeadline() {
    pushed_.Ingest({"c", 1, 0});
    pushed_.machine_->faults() = SlowDisk();
  }
  PushRequest Late(std::optional<AtDeadline> rule, const std::string& service = "scoring") {
    PushRequest request = Pushed::Of(service, Payment{"c", 5, 10}.Json());
    request.deadline = milliseconds(50);
    request.at_deadline = rule;
    return request;
  }
  Pushed pushed_;
};

TEST_F(AtADeadline, RefusedWithATokenThatTellsLater) {
  const PushAnswer answer = pushed_.Push(Late(AtDeadline::kRefuse));
  EXPECT_EQ(answer.answered, PushAnswered::kNone);
  EXPECT_EQ(answer.event, PushedEvent::kUnknown);
  EXPECT_EQ(answer.reason->code(), ErrorCode::kDeadlineExceeded);
  EXPECT_FALSE(answer.outcome.has_value()) << "nobody knows yet, so nobody says";
  const auto pending = pushed_.core_->pushes().Ask(answer.token);
  ASSERT_TRUE(pending.has_value());
  EXPECT_TRUE(pending->pending);
  pushed_.machine_->RunFor(std::chrono::seconds(2));
  const auto later = pushed_.core_->pushes().Ask(answer.token);
  ASSERT_TRUE(later.has_value() && !later->pending && later->outcome->has_value());
  EXPECT_EQ((*later->outcome)->accepted, 1U);
  EXPECT_GE(pushed_.core_->visible(), (*later->outcome)->epoch);
  const auto figures = pushed_.core_->pushes().figures();
  EXPECT_EQ(figures.refused_late, 1U);
  EXPECT_EQ(figures.late_known_after, 1U);
  EXPECT_EQ(figures.late_by_us->count(), 1U);
  EXPECT_EQ(figures.pending, 0U);
  EXPECT_EQ(pushed_.core_->pushes().Ask("no such").error().code(), ErrorCode::kNotFound);
}

// Who was given a token can't tell the next one from it.
TEST_F(AtADeadline, TokensAreNotCounted) {
  const std::string first = pushed_.Push(Late(AtDeadline::kDefaults)).token;
  const std::string second = pushed_.Push(Late(AtDeadline::kDefaults)).token;
  EXPECT_EQ(first.size(), 32U);
  EXPECT_NE(first.substr(0, 16), second.substr(0, 16));
}

// Nobody knew at the deadline that it would be refused: it is not called in, and the token tells.
TEST_F(AtADeadline, ARefusedEventIsUnknownUntilThen) {
  PushRequest request = Late(AtDeadline::kDefaults);
  request.event.body = Payment{"c", -5, 10}.Json();
  const PushAnswer answer = pushed_.Push(std::move(request));
  EXPECT_EQ(answer.event, PushedEvent::kUnknown);
  EXPECT_EQ(answer.answered, PushAnswered::kDefaults);
  pushed_.machine_->RunFor(std::chrono::seconds(2));
  const auto later = pushed_.core_->pushes().Ask(answer.token);
  ASSERT_TRUE(later.has_value() && !later->pending && later->outcome->has_value());
  EXPECT_EQ((*later->outcome)->accepted, 0U);
  EXPECT_EQ((*later->outcome)->refused[0].field, "amount");
}

TEST_F(AtADeadline, LastKnownIsOfTheEpochBefore) {
  const PushAnswer answer = pushed_.Push(Late(AtDeadline::kLastKnown));
  EXPECT_EQ(answer.answered, PushAnswered::kLastKnown);
  EXPECT_EQ(answer.event, PushedEvent::kUnknown);
  EXPECT_FALSE(answer.token.empty());
  EXPECT_EQ(Number(answer, "sliding_included.n_1h"), 1) << "the event is not in it";
  EXPECT_EQ(answer.features->epoch, pushed_.core_->visible());
  pushed_.machine_->RunFor(std::chrono::seconds(2));
  EXPECT_GT(pushed_.core_->visible(), answer.features->epoch);
  EXPECT_EQ(pushed_.core_->pushes().figures().last_known, 1U);
}

TEST_F(AtADeadline, DefaultsAreThoseOfTheService) {
  const PushAnswer answer = pushed_.Push(Late(AtDeadline::kDefaults));
  EXPECT_EQ(answer.answered, PushAnswered::kDefaults);
  EXPECT_EQ(Number(answer, "sliding_included.n_1h"), 7);
  EXPECT_EQ(Number(answer, "sliding_excluded.n_1h"), -1) << "null";
}

TEST_F(AtADeadline, TheConsumersRuleHoldsUnlessTheRequestSays) {
  EXPECT_EQ(pushed_.Push(Late(std::nullopt)).answered, PushAnswered::kLastKnown);
  EXPECT_EQ(pushed_.Push(Late(std::nullopt, "all")).answered, PushAnswered::kNone)
      << "no consumer reads it: refuse";
}

TEST_F(AtADeadline, AnswersInTimeAreNotTouched) {
  PushRequest request = Late(AtDeadline::kDefaults);
  request.deadline = std::chrono::seconds(5);
  EXPECT_EQ(pushed_.Push(std::move(request)).answered, PushAnswered::kWithEvent);
  pushed_.machine_->RunFor(std::chrono::seconds(10));
  EXPECT_EQ(pushed_.core_->pushes().figures().defaults, 0U);
}

// It dies between the sync and the answer: whoever sends the event again gets the answer that the
// first one would have had, and the event counts once.
TEST(Push, ARepeatAfterADeathGetsTheFirstAcknowledgement) {
  for (const std::string point :
       {"log.after_write", "log.after_sync", "log.before_ack", "log.after_ack",
        "applier.before_apply", "applier.after_apply", "applier.after_visible"}) {
    SCOPED_TRACE(point);
    Pushed pushed;
    pushed.Ingest({"c", 1, 0});
    Faults faults;
    faults.crash_point = point;
    faults.crash_hit = pushed.machine_->crash_point_visits().contains(point)
                           ? pushed.machine_->crash_point_visits().find(point)->second + 1
                           : 1;
    pushed.machine_->faults() = faults;
    PushRequest request = Pushed::Of("scoring", Payment{"c", 5, 10}.Json());
    request.event.idempotency_key = "p-17";
    const auto lost = pushed.Begin(request);
    pushed.machine_->RunFor(std::chrono::seconds(1));
    ASSERT_TRUE(pushed.machine_->crashed());
    pushed.Die();
    const PushAnswer again = pushed.Push(request);
    EXPECT_EQ(again.answered, PushAnswered::kWithEvent);
    EXPECT_EQ(again.outcome->accepted, 1U);
    EXPECT_EQ(Number(again, "sliding_included.n_1h"), 2) << "once";
    EXPECT_EQ(Number(again, "sliding_excluded.n_1h"), 1);
    if (point != "log.after_write") {  // else the write may be lost, and nothing was promised
      EXPECT_EQ(again.outcome->repeat, ingest::Repeat::kRepeated);
    }
    const PushAnswer third = pushed.Push(request);
    EXPECT_EQ(third.outcome->epoch, again.outcome->epoch);
    EXPECT_EQ(third.outcome->repeat, ingest::Repeat::kRepeated);
    EXPECT_EQ(Number(third, "sliding_included.n_1h"), 2);
    EXPECT_EQ(Number(third, "sliding_excluded.n_1h"), 1);
  }
}

TEST(Push, ARepeatIsAnsweredAsOfNow) {
  Pushed pushed;
  PushRequest request = Pushed::Of("scoring", Payment{"c", 5, 10}.Json());
  request.event.producer = "till-1";
  request.event.sequence = "1";
  const PushAnswer first = pushed.Push(request);
  pushed.Ingest({"c", 5, 11});
  const PushAnswer again = pushed.Push(request);
  EXPECT_EQ(again.outcome->epoch, first.outcome->epoch);
  EXPECT_EQ(again.outcome->repeat, ingest::Repeat::kRepeated);
  EXPECT_EQ(Number(again, "sliding_included.n_1h"), 2);
  EXPECT_EQ(Number(again, "sliding_excluded.n_1h"), 1) << "its own event is left out still";
  EXPECT_EQ(pushed.core_->pushes().figures().repeats, 1U);
}

// A client that stamps each try with its own clock: what is left out is what came in, in an earlier
// life of the engine, too.
TEST(Push, ARepeatThatSaysAnotherTimeLeavesOutTheEventThatCameIn) {
  Pushed pushed;
  pushed.Ingest({"c", 1, 5});
  PushRequest request = Pushed::Of("scoring", Payment{"c", 5, 10}.Json());
  request.event.idempotency_key = "p-18";
  const PushAnswer first = pushed.Push(request);
  const auto repeat = [&] {
    for (const int64_t at : {9, 11}) {
      PushRequest again = Pushed::Of("scoring", Payment{"c", 5, at}.Json());
      again.event.idempotency_key = "p-18";
      const PushAnswer answer = pushed.Push(again);
      EXPECT_EQ(answer.outcome->epoch, first.outcome->epoch);
      EXPECT_EQ(Number(answer, "sliding_included.n_1h"), 2);
      EXPECT_EQ(Number(answer, "sliding_excluded.n_1h"), 1) << at;
    }
  };
  repeat();
  pushed.Die();
  repeat();
}

// A client over Flight has the columns of when it came, for as long as it stays.
class TypedBeforeAChange : public ::testing::Test {
 protected:
  TypedBeforeAChange() {
    pushed_.Ingest({"c", 1, 10});
    std::string contract(kContract);
    contract.insert(contract.find("      - {name: paid_at"),
                    "      - {name: note, logicalType: string}\n");
    pushed_.Apply(DefinitionWith(contract));
  }
  PushRequest Typed(const std::string& service) {
    const contract::Contract& before = *Definition()->streams[0].contract;
    columns::BatchBuilder row(before.schema());
    row.column(0).AppendText("c");
    row.column(1).AppendInt(5);
    row.column(2).AppendInt(1'000'000'020'000'000);
    PushRequest request = Pushed::Of(service, "");
    request.typed = before.Enforce(row.Finish());
    request.typed->source.idempotency_key = "p-19";
    return request;
  }
  Pushed pushed_;
};

TEST_F(TypedBeforeAChange, IsAnswered) {
  const PushAnswer answer = pushed_.Push(Typed("scoring"));
  EXPECT_EQ(answer.answered, PushAnswered::kWithEvent);
  EXPECT_EQ(Number(answer, "sliding_included.n_1h"), 2);
  EXPECT_EQ(Number(answer, "sliding_excluded.n_1h"), 1);
}

TEST_F(TypedBeforeAChange, IsAnsweredProvisionally) {
  PushRequest request = Typed("hasty");
  request.answer = PushRequest::Wanted::kProvisional;
  const PushAnswer answer = pushed_.Push(std::move(request));
  EXPECT_EQ(answer.answered, PushAnswered::kProvisional);
  EXPECT_EQ(Number(answer, "sliding_included.n_1h"), 2);
  EXPECT_EQ(Number(answer, "sliding_excluded.n_1h"), 1);
}

TEST(Push, ARefusedEventIsToldWhyAndWhere) {
  Pushed pushed;
  pushed.Ingest({"c", 1, 10});
  PushRequest request = Pushed::Of("scoring", Payment{"c", -5, 10}.Json());
  const PushAnswer told = pushed.Push(request);
  EXPECT_EQ(told.event, PushedEvent::kRefused);
  EXPECT_EQ(told.answered, PushAnswered::kNone);
  EXPECT_FALSE(told.features.has_value());
  EXPECT_EQ(told.outcome->refused[0].field, "amount");
  const auto letters =
      pushed.core_->DeadLetters({.stream = "payments", .after = {{told.outcome->epoch.value - 1}}});
  EXPECT_NE(letters->json.find("amount"), std::string::npos) << letters->json;

  request.refused = PushRequest::Refused::kAnswered;
  const PushAnswer answered = pushed.Push(request);
  EXPECT_EQ(answered.event, PushedEvent::kRefused);
  EXPECT_EQ(answered.answered, PushAnswered::kLastKnown);
  EXPECT_EQ(Number(answered, "sliding_included.n_1h"), 1) << "as of now, by the key that it names";

  const PushAnswer late = pushed.Push(Pushed::Of("scoring", Payment{"c", 5, -40'000}.Json()));
  EXPECT_EQ(late.event, PushedEvent::kRefused);
  EXPECT_EQ(late.outcome->refused[0].rule, "late");
  EXPECT_EQ(pushed.core_->pushes().figures().refused_events, 3U);
}

TEST(Push, WhatCannotBeAnsweredTakesNothingIn) {
  Pushed pushed;
  const std::string event = Payment{"c", 5, 10}.Json();
  const auto rows = [&] { return pushed.core_->log_status().rows_accepted; };
  EXPECT_EQ(pushed.Refusal(Pushed::Of("nothing", event)).code(), ErrorCode::kNotFound);
  PushRequest request = Pushed::Of("priced", event);
  EXPECT_EQ(pushed.Refusal(request).code(), ErrorCode::kInvalidInput) << "no input `limit`";
  EXPECT_EQ(pushed.Refusal(Pushed::Of("scoring", "[" + event + "," + event + "]")).code(),
            ErrorCode::kInvalidInput);
  request.event.stream = "refunds";
  EXPECT_EQ(pushed.Refusal(request).code(), ErrorCode::kNotFound);
  EXPECT_EQ(rows(), 0U);
  request = Pushed::Of("priced", event);
  request.inputs = {{"limit", {columns::Value::String("2")}}};
  const PushAnswer answer = pushed.Push(request);
  EXPECT_EQ(answer.answered, PushAnswered::kWithEvent);
  EXPECT_EQ(answer.features->values[0].ToJson(), "2.5");
  EXPECT_EQ(rows(), 1U);
}

// Sums and counts of one answer belong together, whatever else is pushed meanwhile.
TEST(Push, NoAnswerIsTorn) {
  Pushed pushed(7);
  std::mt19937_64 random(7);
  std::vector<std::shared_ptr<Outcome>> begun;
  int64_t now = 0;
  for (int i = 0; i < 300; ++i) {
    now += static_cast<int64_t>(random() % 3);
    begun.push_back(pushed.Begin(Pushed::Of("all", Payment{"c", 3, now}.Json())));
    for (uint64_t steps = random() % 20; steps > 0; --steps) pushed.machine_->Step();
  }
  size_t shared = 0;
  for (const auto& outcome : begun) {
    const PushAnswer answer = pushed.Await(outcome);
    ASSERT_EQ(answer.answered, PushAnswered::kWithEvent);
    const int64_t rows = Number(answer, "ever_included.n");
    ASSERT_EQ(Number(answer, "ever_excluded.n") + (rows == 1 ? 2 : 1), rows);
    ASSERT_EQ(Number(answer, "ever_included.sum"), 3 * rows);
    ASSERT_EQ(Number(answer, "sliding_included.n_1h"), rows);
    ASSERT_EQ(Number(answer, "sliding_excluded.sum_1h"), rows == 1 ? -1 : 3 * (rows - 1));
    shared += answer.features->epoch != answer.outcome->epoch ? 1 : 0;
  }
  RecordProperty("answered_of_a_later_epoch", static_cast<int>(shared));
}

TEST(Push, AnEngineThatStopsAnswersWhatIsUnderWay) {
  Pushed pushed(1, SlowDisk());
  PushRequest request = Pushed::Of("scoring", Payment{"c", 5, 10}.Json());
  request.deadline = std::chrono::seconds(30);
  const auto outcome = pushed.Begin(std::move(request));
  pushed.machine_->Run([&] { pushed.core_->Stop(); });
  const PushAnswer answer = pushed.Await(outcome);
  EXPECT_EQ(answer.event, PushedEvent::kDurable);
  EXPECT_EQ(pushed.Refusal(Pushed::Of("scoring", Payment{"c", 5, 11}.Json())).code(),
            ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace headrace::wiring
