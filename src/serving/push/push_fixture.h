#pragma once
// Pushes into served trips: a machine whose clock the deadlines go by, and a gate.

#include <cstdint>
#include <memory>
#include <string_view>

#include "env/simulated/environment.h"
#include "ingest/testing/fake_gate.h"
#include "serving/push/push.h"
#include "serving/testing/served_trips.h"

namespace headrace::serving::testing {

struct PushedTrips {
  using Answering = ingest::testing::FakeGate::Answering;
  // Where features are read: on the timers' executor, or on one that nobody runs.
  enum class Readers : uint8_t { kTimers, kNobody };

  explicit PushedTrips(Answering answering = Answering::kWhenTold,
                       Readers readers = Readers::kTimers)
      : gate({{base::StreamId{1}, "trips", trips.definition->streams[0].contract}}, answering),
        pushes(PushService::Make({.gate = &gate,
                                  .answers = trips.service.get(),
                                  .timers = &trips.executor,
                                  .readers = readers == Readers::kNobody ? &reading : nullptr,
                                  .environment = &machine,
                                  .budget = &trips.budget})) {}

  static constexpr std::string_view kTrip =
      R"({"at":"2001-01-01T00:05:00Z","origin":"ORD","destination":"ATL","driver":1,"delay":1})";

  // For the service `fresh`; `event` outlives it.
  static PushRequest Request(std::string_view event = kTrip) {
    PushRequest request;
    request.service = "fresh";
    request.event.stream = "trips";
    request.event.body = event;
    return request;
  }

  env::simulated::SimulatedEnvironment machine{1};
  ServedTrips trips;
  HandExecutor reading{trips.clock};
  ingest::testing::FakeGate gate;
  std::unique_ptr<PushService> pushes;
};

}  // namespace headrace::serving::testing
