#pragma once
// What a log clock has said so far, kept beside the log for the next start: answers name readings
// that no epoch has, and the clock may not go back behind them.
//
// 40 bytes, rewritten in place: {"HRCLOCK1", hash of the machine's boot id, its monotonic clock in
// ns, the log clock in us, hash of the 32 bytes before}, little-endian. Within one boot of the
// machine the monotonic clock tells how much later it is, whatever the wall clock says; after
// another boot the clock begins kLease after the mark at the earliest, which is twice the time
// between two marks.

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "env/environment.h"

namespace headrace::log {

// The earliest that a log clock may say; without bounds when it is made from nothing.
struct ClockFloor {
  base::Timestamp clock = base::Timestamp::Min();
  std::optional<env::MonotonicTime> since;  // it moves with the monotonic clock from here on

  base::Timestamp At(env::MonotonicTime now) const;
};

// One thread at a time.
class ClockMark {
 public:
  static constexpr env::MonotonicTime kEvery = std::chrono::seconds(1);
  static constexpr base::Duration kLease = std::chrono::seconds(2);

  // No floor without a mark that can be read, which is said in the engine's log.
  static ClockFloor ReadFloor(env::Environment& environment, const std::string& path);

  static base::Result<ClockMark> Open(env::Environment& environment, const std::string& path);
  // Written and synced when it returns. `clock`: a reading that was taken at `at`.
  base::Result<void> Write(base::Timestamp clock, env::MonotonicTime at);

 private:
  ClockMark(std::unique_ptr<env::WritableFile> file, uint64_t boot)
      : file_(std::move(file)), boot_(boot) {}
  std::unique_ptr<env::WritableFile> file_;
  uint64_t boot_;
};

}  // namespace headrace::log
