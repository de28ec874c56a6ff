#pragma once
// "Now" of answers under `clock: wall`: a log clock that any thread may read, and that the next
// start goes on from (log/clock_mark.h).

#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "env/environment.h"
#include "log/clock_mark.h"
#include "log/log_clock.h"

namespace headrace::wiring {

// Where the mark of a data folder is.
inline std::string ClockMarkPath(const std::string& data_folder) { return data_folder + "/CLOCK"; }

// Thread-safe. Marks once a second, on an executor of its own, until it dies.
class AnswerClock {
 public:
  // It says nothing earlier than `floor`. Writes the first mark of its own.
  static base::Result<std::unique_ptr<AnswerClock>> Start(env::Environment& environment,
                                                          const std::string& data_folder,
                                                          base::Timestamp floor);
  ~AnswerClock();

  base::Timestamp Now();
  // At a reading of the environment's clock, of just now.
  base::Timestamp At(env::MonotonicTime now);
  log::ClockSteps Steps();

 private:
  AnswerClock(env::Environment& environment, log::ClockMark mark, base::Timestamp floor);
  base::Result<void> Write();
  void Mark();

  env::Environment& environment_;
  std::mutex mutex_;
  // Guarded. Between two looks at the wall clock it is taken to run as the monotonic one does.
  env::MonotonicTime wall_seen_at_;
  base::Timestamp wall_;
  log::LogClock clock_;
  log::ClockMark mark_;  // on the executor, once started
  bool failed_ = false;
  std::unique_ptr<env::Executor> executor_;
};

}  // namespace headrace::wiring
