#include <thread>

#include <gtest/gtest.h>

#include "columns/key.h"
#include "serving/answer.h"
#include "serving/answer_plan.h"
#include "serving/testing/served_trips.h"

namespace headrace::serving {
namespace {

using base::ErrorCode;
using columns::Value;
using pipeline::FeatureStatus;
using testing::Ask;
using testing::ClockOf;
using testing::Minute;
using testing::ServedTrips;

// One row's values as JSON, by the columns' names.
std::string Text(const FeatureAnswer& answer, size_t row = 0) {
  std::string text;
  for (size_t i = 0; i < answer.columns->size(); ++i) {
    text += (i == 0 ? "" : " ") + (*answer.columns)[i].Reference() + "=" +
            answer.values[answer.At(row, i)].ToJson();
    if (answer.statuses[answer.At(row, i)] != FeatureStatus::kPresent)
      text += ":" + std::string(pipeline::NameOf(answer.statuses[answer.At(row, i)]));
  }
  return text;
}

FeatureAnswer Must(base::Result<FeatureAnswer> answer) {
  EXPECT_TRUE(answer.has_value()) << answer.error().ToString();
  return answer ? std::move(*answer) : FeatureAnswer{};
}

base::Error ErrorOf(const base::Result<FeatureAnswer>& answer) {
  EXPECT_FALSE(answer.has_value());
  return answer ? base::Error(ErrorCode::kInternal, "an answer") : answer.error();
}

TEST(AnswerServiceTest, AnswersAServiceFromOneEpoch) {
  ServedTrips trips;
  trips.Apply({{0, "ORD", "ATL", 1, 10}, {90, "ORD", "SFO", 1, 40}, {100, "ORD", "ATL", 2, 20}});
  const FeatureAnswer answer = Must(trips.service->Answer(
      Ask("trip", {{"origin", Value::String("ORD")}, {"destination", Value::String("ATL")}})));
  EXPECT_EQ(Text(answer),
            "origin.trips_1h=2 origin.trips_24h=3 origin.mean_delay_1h=30.0 "
            "origin.mean_delay_24h=23.333333333333332 "
            "route.trips_24h=2 trend=6.666666666666668");
  EXPECT_EQ(answer.epoch.value, 1);
  EXPECT_EQ(answer.as_of, Minute(100)) << "under `clock: events` now is the largest event time";
  EXPECT_EQ(answer.lag, base::Duration(0));
  EXPECT_EQ(answer.definition, trips.definition->id);
  EXPECT_EQ(answer.log.ToString(), "abababababababababababababababab");
  EXPECT_EQ(answer.EventTime(0, 0), Minute(100));
  EXPECT_EQ(answer.EventTime(0, 5), Minute(100)) << "of the newest input";
  ASSERT_EQ(trips.answered.size(), 1) << "the answer log sees it";
  EXPECT_EQ(trips.answered[0].service, "trip");
}

TEST(AnswerServiceTest, KeepsTheRequestsOrderOfRowsAndFeatures) {
  ServedTrips trips;
  trips.Apply({{0, "ORD", "ATL", 1, 10}, {1, "ATL", "ORD", 2, 20}});
  FeatureQuery query;
  query.features = {"route:trips_24h", "origin.trips_1h", "origin:mean_delay_1h"};
  query.inputs = {
      {"destination", {Value::String("ORD"), Value::String("ATL"), Value::String("ATL")}},
      {"unneeded", {Value::Bool(true), Value(), Value()}},
      {"origin", {Value::String("ATL"), Value::String("ORD"), Value::String("???")}}};
  for (int i = 0; i < 2; ++i) {  // the second time from the kept plan
    const FeatureAnswer answer = Must(trips.service->Answer(query));
    ASSERT_EQ(answer.rows, 3);
    EXPECT_EQ(Text(answer, 0), "route.trips_24h=1 origin.trips_1h=1 origin.mean_delay_1h=20.0");
    EXPECT_EQ(Text(answer, 1), "route.trips_24h=1 origin.trips_1h=1 origin.mean_delay_1h=10.0");
    EXPECT_EQ(Text(answer, 2),
              "route.trips_24h=null:NOT_FOUND origin.trips_1h=null:NOT_FOUND "
              "origin.mean_delay_1h=null:NOT_FOUND");
    ASSERT_EQ(answer.inputs.size(), 2);
    EXPECT_EQ(answer.inputs[0].name, "destination");
    EXPECT_EQ(answer.inputs[1].name, "origin");
  }
}

TEST(AnswerServiceTest, AKnownKeyWithAnEmptyWindowCountsZero) {
  ServedTrips trips;
  trips.Apply({{0, "ORD", "ATL", 1, 10}, {300, "ATL", "ORD", 2, 20}});
  const FeatureAnswer answer = Must(trips.service->Answer(
      Ask("trip", {{"origin", Value::String("ORD")}, {"destination", Value::String("ATL")}})));
  EXPECT_EQ(Text(answer),
            "origin.trips_1h=0 origin.trips_24h=1 origin.mean_delay_1h=null:NULL_VALUE "
            "origin.mean_delay_24h=10.0 "
            "route.trips_24h=1 trend=null:NULL_VALUE");
}

TEST(AnswerServiceTest, ComputesFromRequestInputs) {
  ServedTrips trips;
  trips.Apply({{0, "ORD", "ATL", 1, 10}});
  FeatureQuery query;
  query.features = {"late_by"};
  query.inputs = {{"origin", {Value::String("ORD"), Value::String("ORD"), Value::String("???")}},
                  {"distance", {Value::Int64(7), Value(), Value::Int64(7)}}};
  const FeatureAnswer answer = Must(trips.service->Answer(query));
  EXPECT_EQ(Text(answer, 0), "late_by=7");
  EXPECT_EQ(Text(answer, 1), "late_by=null:NULL_VALUE");
  EXPECT_EQ(Text(answer, 2), "late_by=null:NOT_FOUND");
  EXPECT_EQ(answer.inputs[1].use, InputColumn::Use::kRequestInput);
  query.inputs.pop_back();
  const base::Error error = ErrorOf(trips.service->Answer(query));
  EXPECT_EQ(
      error.ToString(),
      "InvalidInput: missing request input `distance` (field=distance, missing=request_input)");
}

TEST(AnswerServiceTest, AsOfMayBeGiven) {
  ServedTrips trips;
  trips.Apply({{0, "ORD", "ATL", 1, 10}, {5, "ORD", "ATL", 1, 20}});
  FeatureQuery query = Ask("", {{"origin", Value::String("ORD")}});
  query.features = {"origin.trips_1h"};
  query.as_of = Minute(3);
  EXPECT_EQ(Text(Must(trips.service->Answer(query))), "origin.trips_1h=1")
      << "a later row is not in the answer yet";
  query.as_of = Minute(200);
  EXPECT_EQ(Text(Must(trips.service->Answer(query))), "origin.trips_1h=0");
  query.as_of = Minute(-100);
  EXPECT_EQ(ErrorOf(trips.service->Answer(query)).code(), ErrorCode::kFailedPrecondition)
      << "before the view's history";
}

TEST(AnswerServiceTest, TheLogClockIsNowUnderWall) {
  ServedTrips trips(ClockOf::kWall);
  trips.Apply({{0, "ORD", "ATL", 1, 10}});
  trips.clock.wall = Minute(30);
  FeatureQuery query = Ask("fresh", {{"origin", Value::String("ORD")}});
  FeatureAnswer answer = Must(trips.service->Answer(query));
  EXPECT_EQ(answer.as_of, Minute(30));
  EXPECT_EQ(answer.lag, std::chrono::minutes(30));
  EXPECT_EQ(Text(answer), "origin.trips_1h=1:OUTSIDE_MAX_AGE")
      << "the source is further behind than max_lag";
  trips.clock.wall = Minute(9);
  EXPECT_EQ(Text(Must(trips.service->Answer(query))), "origin.trips_1h=1");
  trips.clock.wall = Minute(-5);
  EXPECT_EQ(Must(trips.service->Answer(query)).as_of, Minute(0))
      << "never before the epoch's clock";
}

TEST(AnswerServiceTest, TtlExpiresAKey) {
  ServedTrips trips;
  trips.Apply({{0, "ORD", "ATL", 1, 10}, {150, "ORD", "ATL", 2, 10}});
  FeatureQuery query =
      Ask("", {{"driver", Value::String("1")}});  // text that reads as the key's type
  query.features = {"driver.*"};
  const FeatureAnswer answer = Must(trips.service->Answer(query));
  EXPECT_EQ(answer.statuses[0], FeatureStatus::kOutsideMaxAge);
  // The ttl is 2 h, and the window 1 h.
  trips.Apply({{180, "ORD", "ATL", 2, 10}});
  EXPECT_EQ(Must(trips.service->Answer(query)).statuses[0], FeatureStatus::kNotFound);
}

TEST(AnswerServiceTest, NamesWhatIsWrong) {
  ServedTrips trips;
  trips.Apply({{0, "ORD", "ATL", 1, 10}});
  const auto origin = Value::String("ORD");
  const auto error = [&](const FeatureQuery& query) {
    return ErrorOf(trips.service->Answer(query)).ToString();
  };
  const auto features = [&](std::vector<std::string> names) {
    FeatureQuery query = Ask("", {{"origin", Value::String("ORD")}});
    query.features = std::move(names);
    return query;
  };
  EXPECT_EQ(error(Ask("nope", {})), "NotFound: no service `nope` (object=service, name=nope)");
  EXPECT_EQ(error(features({"orign:x"})),
            "NotFound: no view `orign`: did you mean: origin? (object=view, name=orign)");
  EXPECT_EQ(error(features({"nope:x"})), "NotFound: no view `nope` (object=view, name=nope)");
  EXPECT_EQ(error(features({"origin:nope"})),
            "NotFound: view `origin` has no feature `nope` (object=feature, name=nope)");
  EXPECT_EQ(error(features({"nope"})),
            "NotFound: no feature `nope`: name it as view:feature (object=feature, name=nope)");
  EXPECT_EQ(error(features({})), "InvalidInput: name a service or some features (field=features)");
  EXPECT_EQ(error(Ask("trip", {{"origin", origin}})),
            "InvalidInput: missing join key `destination` (field=destination, missing=join_key)");
  EXPECT_EQ(error(Ask("fresh", {{"origin", Value::Int64(5)}})),
            "InvalidInput: expected string, got 5 (field=origin)");
  FeatureQuery uneven = Ask("trip", {{"origin", origin}, {"destination", origin}});
  uneven.inputs[1].values.push_back(origin);
  EXPECT_EQ(ErrorOf(trips.service->Answer(uneven)).code(), ErrorCode::kInvalidInput);
  EXPECT_EQ(error(Ask("fresh", {{"origin", origin}, {"origin", Value::String("SFO")}})),
            "InvalidInput: `origin` is given twice (field=origin)");
}

TEST(AnswerServiceTest, LimitsRows) {
  AnswerLimits limits;
  limits.rows_max = 2;
  ServedTrips trips(ClockOf::kEvents, limits);
  trips.Apply({{0, "ORD", "ATL", 1, 10}});
  FeatureQuery query = Ask("fresh", {});
  query.inputs = {{"origin", {Value::String("a"), Value::String("b"), Value::String("c")}}};
  EXPECT_EQ(ErrorOf(trips.service->Answer(query)).code(), ErrorCode::kInvalidInput);
}

TEST(AnswerServiceTest, KeepsPlansOfListsUpToTheLimit) {
  AnswerLimits limits;
  limits.plans_max = 2;
  ServedTrips trips(ClockOf::kEvents, limits);
  trips.Apply({{0, "ORD", "ATL", 1, 10}});
  for (const char* name :
       {"origin.trips_1h", "origin.trips_24h", "origin.mean_delay_1h", "origin.trips_1h"}) {
    FeatureQuery query = Ask("", {{"origin", Value::String("ORD")}});
    query.features = {name};
    EXPECT_EQ(Must(trips.service->Answer(query)).columns->front().Reference(), name);
  }
}

TEST(AnswerServiceTest, KeepsPlansOfSoManyColumnsTogether) {
  AnswerLimits limits;
  limits.plan_columns_max = 3;
  ServedTrips trips(ClockOf::kEvents, limits);
  const auto plan_of = [&](std::vector<std::string> names) {
    FeatureQuery query;
    query.features = std::move(names);
    return *trips.service->PlanOf(query);
  };
  const AnswerPlanRef first = plan_of({"origin.trips_1h", "origin.trips_24h"});
  plan_of({"route.trips_24h"});
  EXPECT_EQ(plan_of({"origin.trips_1h", "origin.trips_24h"}), first);
  const AnswerPlanRef last = plan_of({"origin.mean_delay_1h"});
  EXPECT_NE(plan_of({"origin.trips_1h", "origin.trips_24h"}), first);
  EXPECT_EQ(plan_of({"origin.mean_delay_1h"}), last);
}

TEST(AnswerServiceTest, APlanThatWasGivenOutStays) {
  AnswerLimits limits;
  limits.plans_max = 1;
  ServedTrips trips(ClockOf::kEvents, limits);
  const auto plan_of = [&](const std::string& name) {
    FeatureQuery query;
    query.features = {name};
    return *trips.service->PlanOf(query);
  };
  const AnswerPlanRef given = plan_of("origin.trips_1h");
  for (const char* name : {"origin.trips_24h", "route.trips_24h", "origin.mean_delay_1h"})
    plan_of(name);
  EXPECT_EQ(given->columns->front().Reference(), "origin.trips_1h");
}

// The log clock is read right after the pin is taken: what happens then happens under the pin.
TEST(AnswerServiceTest, AsksAgainWhenThePinIsTakenAway) {
  ServedTrips trips(ClockOf::kWall);
  trips.Apply({{0, "ORD", "ATL", 1, 10}});
  int moves = 0;
  const auto move_on = [&](env::MonotonicTime) {
    if (moves-- > 0) {
      trips.Apply({{1, "ORD", "ATL", 1, 10}});
      EXPECT_TRUE(trips.views->HeldByReaders());
      trips.clock.now += pipeline::ViewSet::kPinLifetime * 2;
      EXPECT_FALSE(trips.views->HeldByReaders()) << "the pin is revoked";
      trips.Apply({{1, "ORD", "ATL", 1, 10}});
    }
    return Minute(5);
  };
  trips.log_clock = move_on;
  moves = 2;
  const FeatureQuery query = Ask("fresh", {{"origin", Value::String("ORD")}});
  const FeatureAnswer answer = Must(trips.service->Answer(query));
  EXPECT_EQ(Text(answer), "origin.trips_1h=5");
  EXPECT_EQ(answer.epoch.value, 5) << "all of it from the newest epoch";
  EXPECT_EQ(trips.service->revoked_pins(), 2);
  moves = 100;
  EXPECT_EQ(ErrorOf(trips.service->Answer(query)).code(), ErrorCode::kUnavailable);
}

// Memory ends once the second try has begun, which is under a hold.
TEST(AnswerServiceTest, WhatAReadUnderAHoldFoundIsCharged) {
  ServedTrips trips(ClockOf::kWall);
  trips.Apply({{0, "ORD", "ATL", 1, 10}});
  const uint64_t limit = trips.budget.limit_bytes();
  int tries = 0;
  bool fills = false;
  std::vector<base::MemoryCharge> others;
  trips.log_clock = [&](env::MonotonicTime) {
    if (tries++ == 0) {
      trips.Apply({{1, "ORD", "ATL", 1, 10}});
      trips.clock.now += pipeline::ViewSet::kPinLifetime * 2;
      EXPECT_FALSE(trips.views->HeldByReaders()) << "the pin is revoked";
      trips.Apply({{1, "ORD", "ATL", 1, 10}});
    } else if (fills) {
      auto rest =
          trips.budget.TryCharge(base::MemoryAccount::kReplies, limit - trips.budget.used_bytes());
      EXPECT_TRUE(rest);
      if (rest) others.push_back(std::move(*rest));
    }
    return Minute(5);
  };
  const FeatureQuery query = Ask("fresh", {{"origin", Value::String("ORD")}});
  KeyQuestion question;
  question.view = *trips.definition->ViewNamed("origin");
  columns::AppendKeyValue(question.key, Value::String("ORD"));
  for (const bool full : {false, true}) {
    SCOPED_TRACE(full);
    fills = full;
    tries = 0;
    const auto answer = trips.service->Answer(query);
    EXPECT_EQ(tries, 2);
    EXPECT_EQ(answer.has_value(), !full);
    if (full) EXPECT_EQ(ErrorOf(answer).code(), ErrorCode::kResourceExhausted);
    others.clear();
  }
  fills = true;
  tries = 0;
  const auto keys = trips.service->AnswerKeys(*trips.definition, {&question, 1});
  ASSERT_FALSE(keys.has_value());
  EXPECT_EQ(keys.error().code(), ErrorCode::kResourceExhausted);
}

// A key whose rows take long to read, and a thread that applies others meanwhile: each epoch takes
// away the pins of those before the one before it, as the applier does of pins that are held too
// long.
class HotKeyTest : public ::testing::Test {
 protected:
  explicit HotKeyTest(AnswerLimits limits = {}) : trips_(ClockOf::kEvents, limits) {
    constexpr int kEpochs = 20;
    for (int epoch = 0; epoch < kEpochs; ++epoch) {
      std::vector<testing::Trip> rows;
      for (int i = 0; i < 10'000; ++i)
        rows.push_back({0, "ORD", "ATL", i % 4 == 0 ? i : i % 2, 10});
      trips_.Apply(rows);
    }
    query_.features = {"often.drivers_24h"};
    query_.inputs = {{"origin", {Value::String("ORD")}}};
    question_.view = *trips_.definition->ViewNamed("often");
    columns::AppendKeyValue(question_.key, Value::String("ORD"));
    applier_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) trips_.Apply({{0, "SFO", "ATL", 1, 10}});
    });
  }

  ServedTrips trips_;
  FeatureQuery query_;
  KeyQuestion question_;
  std::jthread applier_;
};

TEST_F(HotKeyTest, AnswersWhatTakesLongerThanAPinMayLast) {
  for (int i = 0; i < 50 || (i < 1'000 && trips_.service->revoked_pins() < 4); ++i) {
    ASSERT_EQ(Text(Must(trips_.service->Answer(query_))), "often.drivers_24h=[1,0]");
    const auto keys = trips_.service->AnswerKeys(*trips_.definition, {&question_, 1});
    ASSERT_TRUE(keys.has_value()) << keys.error().ToString();
    ASSERT_EQ((*keys)->views[0].values[0].ToJson(), "[1,0]");
  }
  EXPECT_GE(trips_.service->revoked_pins(), 4U);
}

class NoHoldsTest : public HotKeyTest {
 protected:
  NoHoldsTest() : HotKeyTest({.held_reads_max = 0}) {}
};

TEST_F(NoHoldsTest, BeyondTheirNumberReadsAreRefusedRetryably) {
  base::Result<FeatureAnswer> answer = trips_.service->Answer(query_);
  for (int i = 0; i < 1'000 && answer; ++i) answer = trips_.service->Answer(query_);
  EXPECT_EQ(ErrorOf(answer).code(), ErrorCode::kUnavailable);
}

class ShortHoldsTest : public HotKeyTest {
 protected:
  ShortHoldsTest() : HotKeyTest({.held_read_max = std::chrono::milliseconds(-1)}) {}
};

TEST_F(ShortHoldsTest, LongerOnesAreRefusedRetryably) {
  base::Result<FeatureAnswer> answer = trips_.service->Answer(query_);
  for (int i = 0; i < 1'000 && answer; ++i) answer = trips_.service->Answer(query_);
  const base::Error error = ErrorOf(answer);
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  EXPECT_NE(error.message().find("fewer keys"), std::string::npos) << error.ToString();
}

// All features of a key are computed, whichever are looked at.
TEST(AnswerServiceTest, BoundsTheFeaturesOfManyKeys) {
  AnswerLimits limits;
  limits.values_max = 10;
  ServedTrips trips(ClockOf::kEvents, limits);
  trips.Apply({{0, "ORD", "ATL", 1, 10}});
  const size_t view = *trips.definition->ViewNamed("origin");
  const size_t outputs = trips.definition->views[view].outputs.size();
  columns::KeyBytes key;
  columns::AppendKeyValue(key, Value::String("ORD"));
  const auto ask = [&](size_t keys) {
    const std::vector<KeyQuestion> questions(keys, {view, key, KeyQuestion::kNoOutput});
    return trips.service->AnswerKeys(*trips.definition, questions);
  };
  EXPECT_TRUE(ask(10 / outputs));
  const auto many = ask(10 / outputs + 1);
  ASSERT_FALSE(many);
  EXPECT_EQ(many.error().code(), ErrorCode::kInvalidInput);
}

class WaitingTest : public ::testing::Test {
 protected:
  void Ask(uint64_t min_epoch, int deadline_ms = 1000) {
    FeatureQuery query = testing::Ask("fresh", {{"origin", Value::String("ORD")}});
    query.min_epoch = base::EpochId{min_epoch};
    query.deadline = std::chrono::milliseconds(deadline_ms);
    trips_->service->AnswerWhenVisible(
        std::move(query), [this](base::Result<FeatureAnswer> answer) {
          outcomes_.push_back(answer ? std::to_string(answer->epoch.value)
                                     : std::string(base::RowOf(answer.error().code()).name));
        });
  }
  std::vector<std::string> outcomes_;
  std::unique_ptr<ServedTrips> trips_ =
      std::make_unique<ServedTrips>();  // answers those who wait when it goes
};

TEST_F(WaitingTest, AnswersAtOnceWhatIsVisible) {
  trips_->Apply({{0, "ORD", "ATL", 1, 10}});
  Ask(1);
  EXPECT_EQ(outcomes_, std::vector<std::string>{"1"});
}

TEST_F(WaitingTest, WaitsForTheEpochOfAWrite) {
  trips_->Apply({{0, "ORD", "ATL", 1, 10}});
  Ask(3);
  Ask(2);
  trips_->executor.RunDue();
  EXPECT_TRUE(outcomes_.empty());
  trips_->Apply({{1, "ORD", "ATL", 1, 10}});
  trips_->executor.RunDue();
  EXPECT_EQ(outcomes_, std::vector<std::string>{"2"});
  trips_->Apply({{1, "ORD", "ATL", 1, 10}});
  trips_->executor.RunDue();
  EXPECT_EQ(outcomes_, (std::vector<std::string>{"2", "3"}));
  trips_->clock.now += std::chrono::seconds(2);
  trips_->executor.RunDue();
  EXPECT_EQ(outcomes_.size(), 2) << "each is answered once";
}

TEST_F(WaitingTest, GivesUpAtTheDeadline) {
  trips_->Apply({{0, "ORD", "ATL", 1, 10}});
  Ask(9, 500);
  trips_->clock.now = std::chrono::milliseconds(499);
  trips_->executor.RunDue();
  EXPECT_TRUE(outcomes_.empty());
  trips_->clock.now = std::chrono::milliseconds(500);
  trips_->executor.RunDue();
  EXPECT_EQ(outcomes_, std::vector<std::string>{"DeadlineExceeded"});
}

TEST_F(WaitingTest, AnswersThoseWhoWaitWhenItStops) {
  trips_->Apply({{0, "ORD", "ATL", 1, 10}});
  Ask(9);
  trips_->service.reset();
  EXPECT_EQ(outcomes_, std::vector<std::string>{"Unavailable"});
  trips_->clock.now += std::chrono::seconds(9);
  trips_->executor.RunDue();
  EXPECT_EQ(outcomes_.size(), 1);
}

// The service is looked up when the epoch is there.
TEST_F(WaitingTest, TheNameOfAServiceIsChargedWhileItWaits) {
  constexpr size_t kName = 100'000;
  FeatureQuery query = testing::Ask(std::string(kName, 's'), {{"origin", Value::String("ORD")}});
  query.min_epoch = base::EpochId{9};
  trips_->service->AnswerWhenVisible(std::move(query), [](const base::Result<FeatureAnswer>&) {});
  EXPECT_GE(trips_->budget.used_bytes(base::MemoryAccount::kReplies), kName);
}

TEST_F(WaitingTest, WhatWaitsIsChargedForWhatItHolds) {
  constexpr size_t kLeft = 1U << 20;
  const auto ask = [&](size_t values) {
    FeatureQuery query = testing::Ask("fresh", {{"origin", Value::String("ORD")}});
    query.inputs.push_back({"passed_over", std::vector<Value>(values)});
    query.min_epoch = base::EpochId{9};
    trips_->service->AnswerWhenVisible(
        std::move(query), [this](const base::Result<FeatureAnswer>& answer) {
          outcomes_.emplace_back(answer ? "answered" : base::RowOf(answer.error().code()).name);
        });
  };
  ask(10'000);
  EXPECT_GE(trips_->budget.used_bytes(base::MemoryAccount::kReplies), 10'000 * sizeof(Value));
  EXPECT_LE(trips_->budget.used_bytes(base::MemoryAccount::kReplies), 11'000 * sizeof(Value));
  trips_->clock.now += std::chrono::seconds(2);
  trips_->executor.RunDue();
  trips_->executor.RunDue();
  EXPECT_EQ(outcomes_, std::vector<std::string>{"DeadlineExceeded"});
  EXPECT_EQ(trips_->budget.used_bytes(base::MemoryAccount::kReplies), 0U);
  const uint64_t limit = trips_->budget.limit_bytes();
  const uint64_t free =
      limit - limit / 16 - trips_->budget.used_bytes() + trips_->budget.spare_bytes();
  const auto others = trips_->budget.TryCharge(base::MemoryAccount::kReplies, free - kLeft);
  ASSERT_TRUE(others);
  ask(kLeft / sizeof(Value));
  EXPECT_EQ(outcomes_.back(), "ResourceExhausted");
  ask(1);
  EXPECT_EQ(outcomes_.size(), 2U) << "there is room for it";
}

TEST_F(WaitingTest, WhatAnEpochWakesDoesNotHoldUpPushes) {
  testing::HandExecutor pushes(trips_->clock);
  auto service = AnswerService::Make({.views = trips_->views.get(),
                                      .log = {},
                                      .log_clock = trips_->log_clock,
                                      .waiting = &trips_->executor,
                                      .waiting_pushes = &pushes,
                                      .clock = &trips_->clock,
                                      .budget = &trips_->budget,
                                      .on_answer = {}});
  ASSERT_TRUE(service);
  trips_->service = std::move(*service);
  Ask(1);
  FeatureQuery query = testing::Ask("fresh", {{"origin", Value::String("ORD")}});
  query.min_epoch = base::EpochId{1};
  query.deadline = FeatureQuery::kUntilVisible;
  trips_->service->AnswerWhenVisible(std::move(query),
                                     [this](const base::Result<FeatureAnswer>& answer) {
                                       outcomes_.emplace_back(answer ? "push" : "error");
                                     });
  trips_->Apply({{0, "ORD", "ATL", 1, 10}});
  pushes.RunDue();
  EXPECT_EQ(outcomes_, std::vector<std::string>{"push"});
  trips_->executor.RunDue();
  EXPECT_EQ(outcomes_, (std::vector<std::string>{"push", "1"}));
  trips_->service.reset();  // before the executor goes
}

TEST_F(WaitingTest, BoundsThoseWhoWait) {
  AnswerLimits limits;
  limits.waiters_max = 1;
  trips_ = std::make_unique<ServedTrips>(ClockOf::kEvents, limits);
  trips_->Apply({{0, "ORD", "ATL", 1, 10}});
  Ask(9);
  Ask(9);
  EXPECT_EQ(outcomes_, std::vector<std::string>{"ResourceExhausted"});
}

// It is a call, of which there are only so many.
TEST_F(WaitingTest, AThreadThatWaitsIsNotRefused) {
  AnswerLimits limits;
  limits.waiters_max = 1;
  trips_ = std::make_unique<ServedTrips>(ClockOf::kEvents, limits);
  Ask(9);
  const uint64_t used = trips_->budget.used_bytes();
  const auto all =
      trips_->budget.TryCharge(base::MemoryAccount::kReplies, trips_->budget.limit_bytes() - used);
  ASSERT_TRUE(all);
  bool told = false;
  trips_->service->WhenVisible(base::EpochId{1}, std::chrono::milliseconds(1000), std::nullopt,
                               [&](const base::Result<void>& visible) {
                                 EXPECT_TRUE(visible);
                                 told = true;
                               });
  trips_->Apply({{0, "ORD", "ATL", 1, 10}});
  trips_->executor.RunDue();
  EXPECT_TRUE(told);
}

}  // namespace
}  // namespace headrace::serving
