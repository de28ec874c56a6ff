#include "serving/http/push_verb.h"

#include <gtest/gtest.h>

#include "env/simulated/environment.h"
#include "ingest/testing/fake_gate.h"
#include "serving/testing/served_trips.h"

namespace headrace::serving {
namespace {

using ingest::testing::FakeGate;
using testing::ServedTrips;

// A body that is typed later had its time running since it was there.
TEST(PushVerb, TheDeadlineBeginsBeforeTheEventIsTyped) {
  env::simulated::SimulatedEnvironment machine(1);
  ServedTrips trips;
  testing::HandExecutor typing(trips.clock);
  FakeGate gate({{base::StreamId{1}, "trips", trips.definition->streams[0].contract}},
                FakeGate::Answering::kWhenTold);
  const auto pushes = PushService::Make({.gate = &gate,
                                         .answers = trips.service.get(),
                                         .timers = &trips.executor,
                                         .environment = &machine,
                                         .budget = &trips.budget});
  protocols::HttpRouter router;
  MountPush(router, *pushes, typing);
  protocols::HttpRequest request;
  request.method = protocols::HttpMethod::kPost;
  request.path = "/streams/trips/push-get";
  request.query = {{"service", "fresh"}, {"deadline_ms", "100"}};
  request.body =
      R"({"at":"2001-01-01T00:05:00Z","origin":"ORD","destination":"ATL","driver":1,"delay":1})" +
      std::string(4096, ' ');
  int status = 0;
  const env::MonotonicTime whole = machine.clock().Now();
  router.Dispatch(std::move(request),
                  protocols::HttpReply([&](const auto& response) { status = response.status; }));
  machine.RunFor(std::chrono::milliseconds(80));
  typing.RunDue();
  trips.clock.now = whole + std::chrono::milliseconds(99);
  machine.RunFor(std::chrono::milliseconds(19));
  trips.executor.RunDue();
  EXPECT_EQ(status, 0);
  trips.clock.now = whole + std::chrono::milliseconds(100);
  machine.RunFor(std::chrono::milliseconds(1));
  trips.executor.RunDue();
  EXPECT_EQ(status, 504);
}

}  // namespace
}  // namespace headrace::serving
