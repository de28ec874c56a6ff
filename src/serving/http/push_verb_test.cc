#include "serving/http/push_verb.h"

#include <gtest/gtest.h>

#include "serving/push/push_fixture.h"

namespace headrace::serving {
namespace {

using testing::PushedTrips;
using testing::ServedTrips;

// A body that is typed later had its time running since it was there.
TEST(PushVerb, TheDeadlineBeginsBeforeTheEventIsTyped) {
  PushedTrips pushed;
  ServedTrips& trips = pushed.trips;
  testing::HandExecutor typing(trips.clock);
  protocols::HttpRouter router;
  MountPush(router, *pushed.pushes, typing);
  protocols::HttpRequest request;
  request.method = protocols::HttpMethod::kPost;
  request.path = "/streams/trips/push-get";
  request.query = {{"service", "fresh"}, {"deadline_ms", "100"}};
  request.body = std::string(PushedTrips::kTrip) + std::string(4096, ' ');
  int status = 0;
  const env::MonotonicTime whole = pushed.machine.clock().Now();
  router.Dispatch(std::move(request),
                  protocols::HttpReply([&](const auto& response) { status = response.status; }));
  pushed.machine.RunFor(std::chrono::milliseconds(80));
  typing.RunDue();
  trips.clock.now = whole + std::chrono::milliseconds(99);
  pushed.machine.RunFor(std::chrono::milliseconds(19));
  trips.executor.RunDue();
  EXPECT_EQ(status, 0);
  trips.clock.now = whole + std::chrono::milliseconds(100);
  pushed.machine.RunFor(std::chrono::milliseconds(1));
  trips.executor.RunDue();
  EXPECT_EQ(status, 504);
}

}  // namespace
}  // namespace headrace::serving
