#include "serving/flight/visible_wait.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

namespace headrace::serving {
namespace {

using base::ErrorCode;

constexpr std::chrono::milliseconds kLookUp{200};
constexpr std::chrono::milliseconds kAgainAfter{5};

}  // namespace

base::Result<void> WaitUntilVisible(AnswerService& answers, env::Environment& environment,
                                    const ingest::FlightCaller& caller, base::EpochId epoch,
                                    std::chrono::milliseconds deadline) {
  const env::MonotonicTime end = environment.clock().Now() + deadline;
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - environment.clock().Now());
    const auto piece = std::clamp(left, std::chrono::milliseconds(0), kLookUp);
    auto visible = std::make_shared<base::Result<void>>();
    environment.Await([&](const std::function<void()>& done) {
      answers.WhenVisible(epoch, piece, std::nullopt, [visible, done](base::Result<void> outcome) {
        *visible = std::move(outcome);
        done();
      });
    });
    if (*visible || visible->error().code() != ErrorCode::kDeadlineExceeded) return *visible;
    if (caller.IsGone()) return base::Fail(ErrorCode::kUnavailable, "nobody waits any more");
    if (left <= kLookUp) return *visible;
  }
}

base::Result<void> PauseBeforeAnother(AnswerService& answers, env::Environment& environment,
                                      const ingest::FlightCaller& caller) {
  // No epoch has this number.
  const auto waited =
      WaitUntilVisible(answers, environment, caller,
                       base::EpochId{std::numeric_limits<uint64_t>::max()}, kAgainAfter);
  if (waited || waited.error().code() == ErrorCode::kDeadlineExceeded) return {};
  return waited;
}

}  // namespace headrace::serving
