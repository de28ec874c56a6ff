#pragma once
// What the simulated machine is made to suffer. Everything random comes from the run's seed.

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "env/clock.h"

namespace headrace::env::simulated {

enum class CrashKind : uint8_t {
  kPowerCut,  // what was not synced may be lost or torn
  kKill,      // SIGKILL: the machine goes on, all writes are seen by the next life
};

struct Faults {
  // The process dies at the `crash_hit`-th visit (from 1) of this point (env/crash_points.h);
  // empty: it does not.
  std::string crash_point;
  uint64_t crash_hit = 1;
  CrashKind crash_kind = CrashKind::kPowerCut;

  // The Nth sync of a file (from 1; Sync, WriteAndSync and Preallocate count) fails; 0: none does.
  uint64_t fail_sync_number = 0;
  double sync_failure_share = 0;  // any other sync fails with this probability

  uint64_t capacity_bytes = std::numeric_limits<uint64_t>::max();

  // How long an asynchronous sync takes: anything between.
  MonotonicTime sync_min = std::chrono::microseconds(50);
  MonotonicTime sync_max = std::chrono::milliseconds(5);
};

}  // namespace headrace::env::simulated
