#pragma once
// What shapes a simulated history. A plain one follows from its seed alone; the sweeps script the
// faults of its first lives.

#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "env/simulated/faults.h"
#include "simulation/payments.h"

namespace headrace::simulation {

struct Script {
  uint64_t seed = 1;
  int lives = 5;  // then a last one without faults, in which everything unanswered is sent again
  // Beside the crashes: everything that a seed may draw, or nothing.
  enum class Troubles : uint8_t { kDrawn, kNone } troubles = Troubles::kDrawn;
  std::vector<env::simulated::Faults> faults;  // of the first lives; those after them are drawn
  std::optional<ClockKind> clock;              // nothing: drawn
  // How a life ends that nothing killed; nothing: drawn, a clean stop among it.
  std::optional<env::simulated::CrashKind> leave;
  uint64_t turns_max = 80;                                             // of a burst
  enum class Quiet : uint8_t { kDrawn, kNone } quiet = Quiet::kDrawn;  // time between bursts
  enum class Check : uint8_t { kAtTheEnd, kEveryLife } check = Check::kAtTheEnd;  // of the log
};

// What a seed draws once, for all its lives.
struct Shape {
  ClockKind clock = ClockKind::kEvents;
  bool failing_operations = false;
  bool slow_syncs = false;
  bool full_disk = false;
  bool clock_steps = false;
  bool foreign_writer = false;
  bool duplicates = false;
  bool bit_flips = false;
  bool broken_connections = false;
  bool short_log = false;  // rows that the table has leave the log after a while
  bool changes = false;    // of the definition, while it runs
  bool vacuum = false;     // of data files that were rewritten
};
Shape DrawShape(const Script& script, std::mt19937_64& random);

// Most lives end at a named crash point, the rest at any moment; half of them with the loss of what
// was not synced.
env::simulated::Faults DrawFaults(const Shape& shape, std::mt19937_64& random);

}  // namespace headrace::simulation
