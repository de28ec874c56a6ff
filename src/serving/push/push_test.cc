// What a push tells while the definition is changed.

#include "serving/push/push.h"

#include <gtest/gtest.h>

#include "serving/push/push_fixture.h"

namespace headrace::serving {
namespace {

using testing::PushedTrips;
using testing::ServedTrips;
using testing::TripsWithFresh;

// Runs in the middle of a step, when a row of it was just applied.
class DuringAStep final : public pipeline::RowAnswerReader {
 public:
  explicit DuringAStep(std::function<void()> act) : act_(std::move(act)) {}
  void Take(base::EpochId, size_t, const pipeline::RowAnswers&) override { act_(); }

 private:
  std::function<void()> act_;
};

TEST(Push, AnInputThatIsGivenTwiceIsRefusedBeforeTheEventIsSent) {
  PushedTrips pushed;
  PushRequest request = PushedTrips::Request();
  for (const char* origin : {"ORD", "ATL"})
    request.inputs.push_back({"origin", {columns::Value::String(origin)}});
  std::string told;
  pushed.pushes->Push(std::move(request), [&](base::Result<PushAnswer> answer) {
    told = answer ? "an answer" : answer.error().ToString();
  });
  EXPECT_EQ(told, "InvalidInput: `origin` is given twice (field=origin)");
  EXPECT_EQ(pushed.gate.rows(), 0U);
}

TEST(Push, ADeadlineIsKeptWhileOthersAreRead) {
  PushedTrips pushed(PushedTrips::Answering::kAtOnce, PushedTrips::Readers::kNobody);
  PushRequest request = PushedTrips::Request();
  request.deadline = std::chrono::milliseconds(100);
  std::optional<PushAnswer> told;
  pushed.pushes->Push(std::move(request), [&](base::Result<PushAnswer> answer) {
    ASSERT_TRUE(answer.has_value()) << answer.error().ToString();
    told = std::move(*answer);
  });
  pushed.machine.RunFor(std::chrono::milliseconds(100));
  pushed.trips.clock.now = env::MonotonicTime::max();
  pushed.trips.executor.RunDue();
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(told->answered, PushAnswered::kNone);
  EXPECT_EQ(told->event, PushedEvent::kDurable);
}

// What a push of an event that the contract refuses is told, while nothing is read.
std::optional<PushAnswer> ToldOfARefusedEvent(PushRequest::Refused refused,
                                              std::chrono::milliseconds after) {
  PushedTrips pushed(PushedTrips::Answering::kAtOnce, PushedTrips::Readers::kNobody);
  PushRequest request = PushedTrips::Request(
      R"({"at":"noon","origin":"ORD","destination":"ATL","driver":1,"delay":1})");
  request.deadline = std::chrono::milliseconds(100);
  request.at_deadline = pipeline::AtDeadline::kDefaults;
  request.refused = refused;
  std::optional<PushAnswer> told;
  pushed.pushes->Push(std::move(request), [&](base::Result<PushAnswer> answer) {
    ASSERT_TRUE(answer.has_value()) << answer.error().ToString();
    told = std::move(*answer);
  });
  pushed.trips.clock.now = pushed.machine.clock().Now() + after;
  pushed.machine.RunFor(after);
  pushed.trips.executor.RunDue();
  return told;
}

TEST(Push, ThatAnEventIsRefusedIsToldWithoutWaitingForReads) {
  const auto told = ToldOfARefusedEvent(PushRequest::Refused::kToldOnly, {});
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(told->event, PushedEvent::kRefused);
  EXPECT_EQ(told->answered, PushAnswered::kNone);
}

TEST(Push, ARefusedEventIsToldByItsDeadlineWithoutFeatures) {
  using std::chrono::milliseconds;
  EXPECT_FALSE(ToldOfARefusedEvent(PushRequest::Refused::kAnswered, milliseconds(99)));
  const auto told = ToldOfARefusedEvent(PushRequest::Refused::kAnswered, milliseconds(100));
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(told->event, PushedEvent::kRefused);
  EXPECT_EQ(told->answered, PushAnswered::kNone);
  ASSERT_TRUE(told->outcome.has_value());
  EXPECT_TRUE(told->outcome->all_refused());
}

TEST(Push, DefaultsInACutOverAreThoseOfTheColumnsThatAreTold) {
  PushedTrips pushed;
  ServedTrips& trips = pushed.trips;
  std::vector<PushAnswer> told;
  DuringAStep pushing([&] {
    PushRequest request = PushedTrips::Request();
    request.deadline = std::chrono::milliseconds(0);
    request.at_deadline = pipeline::AtDeadline::kDefaults;
    pushed.pushes->Push(std::move(request), [&](base::Result<PushAnswer> answer) {
      ASSERT_TRUE(answer.has_value()) << answer.error().ToString();
      told.push_back(std::move(*answer));
    });
  });
  trips.Apply({{0, "ORD", "ATL", 1, 10}});
  trips.views->AnswerRows(0, &pushing);
  trips.CutOver(
      TripsWithFresh("{features: [origin.trips_24h, origin.trips_1h, origin.mean_delay_1h]}"),
      {{5, "ORD", "ATL", 1, 10}});
  trips.views->AnswerRows(0, nullptr);
  trips.clock.now = env::MonotonicTime::max();
  trips.executor.RunDue();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].answered, PushAnswered::kDefaults);
  EXPECT_EQ(told[0].features->columns->size(), told[0].features->values.size());
}

}  // namespace
}  // namespace headrace::serving
