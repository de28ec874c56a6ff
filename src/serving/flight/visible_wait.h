#pragma once
// A call that waits for an epoch on its own thread, and looks up now and then whether anybody still
// waits for it.

#include <chrono>

#include "base/ids.h"
#include "base/result.h"
#include "env/environment.h"
#include "ingest/flight/flight_reads.h"
#include "serving/answer.h"

namespace headrace::serving {

// Returns once the epoch is visible. Not from an executor's task. Errors: those of
// AnswerService::WhenVisible, when it is not charged; kUnavailable when the caller is gone.
base::Result<void> WaitUntilVisible(AnswerService& answers, env::Environment& environment,
                                    const ingest::FlightCaller& caller, base::EpochId epoch,
                                    std::chrono::milliseconds deadline);

// Behind a snapshot that was taken away: as long as a pin may be held, so that it is somebody
// else's turn. Errors: kUnavailable, when nobody waits any more.
base::Result<void> PauseBeforeAnother(AnswerService& answers, env::Environment& environment,
                                      const ingest::FlightCaller& caller);

}  // namespace headrace::serving
