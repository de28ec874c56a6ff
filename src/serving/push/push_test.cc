// What a push tells while the definition is changed.

#include "serving/push/push.h"

#include <gtest/gtest.h>

#include "env/simulated/environment.h"
#include "ingest/testing/fake_gate.h"
#include "serving/testing/served_trips.h"

namespace headrace::serving {
namespace {

using ingest::testing::FakeGate;
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
  env::simulated::SimulatedEnvironment machine(1);
  ServedTrips trips;
  FakeGate gate({{base::StreamId{1}, "trips", trips.definition->streams[0].contract}},
                FakeGate::Answering::kWhenTold);
  const auto pushes = PushService::Make({.gate = &gate,
                                         .answers = trips.service.get(),
                                         .timers = &trips.executor,
                                         .environment = &machine,
                                         .budget = &trips.budget});
  PushRequest request;
  request.service = "fresh";
  request.event.stream = "trips";
  request.event.body =
      R"({"at":"2001-01-01T00:05:00Z","origin":"ORD","destination":"ATL","driver":1,"delay":1})";
  for (const char* origin : {"ORD", "ATL"})
    request.inputs.push_back({"origin", {columns::Value::String(origin)}});
  std::string told;
  pushes->Push(std::move(request), [&](base::Result<PushAnswer> answer) {
    told = answer ? "an answer" : answer.error().ToString();
  });
  EXPECT_EQ(told, "InvalidInput: `origin` is given twice (field=origin)");
  EXPECT_EQ(gate.rows(), 0U);
}

TEST(Push, ADeadlineIsKeptWhileOthersAreRead) {
  env::simulated::SimulatedEnvironment machine(1);
  ServedTrips trips;
  testing::HandExecutor reading(trips.clock);  // and never gets to it
  FakeGate gate({{base::StreamId{1}, "trips", trips.definition->streams[0].contract}});
  const auto pushes = PushService::Make({.gate = &gate,
                                         .answers = trips.service.get(),
                                         .timers = &trips.executor,
                                         .readers = &reading,
                                         .environment = &machine,
                                         .budget = &trips.budget});
  PushRequest request;
  request.service = "fresh";
  request.event.stream = "trips";
  request.event.body =
      R"({"at":"2001-01-01T00:05:00Z","origin":"ORD","destination":"ATL","driver":1,"delay":1})";
  request.deadline = std::chrono::milliseconds(100);
  std::optional<PushAnswer> told;
  pushes->Push(std::move(request), [&](base::Result<PushAnswer> answer) {
    ASSERT_TRUE(answer.has_value()) << answer.error().ToString();
    told = std::move(*answer);
  });
  machine.RunFor(std::chrono::milliseconds(100));
  trips.clock.now = env::MonotonicTime::max();
  trips.executor.RunDue();
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(told->answered, PushAnswered::kNone);
  EXPECT_EQ(told->event, PushedEvent::kDurable);
}

// What a push of an event that the contract refuses is told, while nothing is read.
std::optional<PushAnswer> ToldOfARefusedEvent(PushRequest::Refused refused,
                                              std::chrono::milliseconds after) {
  env::simulated::SimulatedEnvironment machine(1);
  ServedTrips trips;
  testing::HandExecutor reading(trips.clock);  // and never gets to it
  FakeGate gate({{base::StreamId{1}, "trips", trips.definition->streams[0].contract}});
  const auto pushes = PushService::Make({.gate = &gate,
                                         .answers = trips.service.get(),
                                         .timers = &trips.executor,
                                         .readers = &reading,
                                         .environment = &machine,
                                         .budget = &trips.budget});
  PushRequest request;
  request.service = "fresh";
  request.event.stream = "trips";
  request.event.body = R"({"at":"noon","origin":"ORD","destination":"ATL","driver":1,"delay":1})";
  request.deadline = std::chrono::milliseconds(100);
  request.at_deadline = pipeline::AtDeadline::kDefaults;
  request.refused = refused;
  std::optional<PushAnswer> told;
  pushes->Push(std::move(request), [&](base::Result<PushAnswer> answer) {
    ASSERT_TRUE(answer.has_value()) << answer.error().ToString();
    told = std::move(*answer);
  });
  trips.clock.now = machine.clock().Now() + after;
  machine.RunFor(after);
  trips.executor.RunDue();
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
  env::simulated::SimulatedEnvironment machine(1);
  ServedTrips trips;
  FakeGate gate({{base::StreamId{1}, "trips", trips.definition->streams[0].contract}},
                FakeGate::Answering::kWhenTold);
  const auto pushes = PushService::Make({.gate = &gate,
                                         .answers = trips.service.get(),
                                         .timers = &trips.executor,
                                         .environment = &machine,
                                         .budget = &trips.budget});
  std::vector<PushAnswer> told;
  DuringAStep pushing([&] {
    PushRequest request;
    request.service = "fresh";
    request.event.stream = "trips";
    request.event.body =
        R"({"at":"2001-01-01T00:05:00Z","origin":"ORD","destination":"ATL","driver":1,"delay":1})";
    request.deadline = std::chrono::milliseconds(0);
    request.at_deadline = pipeline::AtDeadline::kDefaults;
    pushes->Push(std::move(request), [&](base::Result<PushAnswer> answer) {
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
