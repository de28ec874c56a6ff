// headrace_simulation [--seeds N] [--seed S]: runs N histories from seed 1 on, or one history
// alone. Fails when a history does, when a named crash point was never reached, or when a seed does
// not replay to the same trace.

#include <charconv>
#include <cstdio>
#include <string_view>

#include <fmt/core.h>

#include "env/crash_points.h"
#include "simulation/world.h"

namespace headrace::simulation {
namespace {

struct Totals {
  uint64_t failed = 0;
  uint64_t lives = 0;
  uint64_t rows = 0;
  uint64_t answers = 0;
  env::MonotonicTime simulated{0};
  std::map<std::string, uint64_t> visits;
};

bool RunSeed(uint64_t seed, Totals& totals) {
  const Outcome outcome = World(seed).Run();
  totals.lives += outcome.lives;
  totals.rows += outcome.acknowledged_rows;
  totals.answers += outcome.answers_checked;
  totals.simulated += outcome.simulated;
  for (const auto& [name, visits] : outcome.crash_point_visits) totals.visits[name] += visits;
  if (outcome.failure.empty()) return true;
  fmt::print(stderr, "seed {} failed: {}\nreplay: headrace_simulation --seed {}\n", seed,
             outcome.failure, seed);
  ++totals.failed;
  return false;
}

uint64_t TraceOf(uint64_t seed) { return World(seed).Run().trace_hash; }

bool Replays(uint64_t seed) {
  const uint64_t first = TraceOf(seed);
  return TraceOf(seed) == first;
}

int RunMany(uint64_t seeds) {
  Totals totals;
  for (uint64_t seed = 1; seed <= seeds; ++seed) RunSeed(seed, totals);
  for (const std::string_view point : env::kCrashPoints) {
    if (totals.visits.contains(std::string(point))) continue;
    fmt::print(stderr, "crash point {} was never reached\n", point);
    ++totals.failed;
  }
  if (!Replays(1)) {
    fmt::print(stderr, "seed 1 does not replay to the same trace\n");
    ++totals.failed;
  }
  fmt::print(
      "{} seeds, {} lives, {} acknowledged rows, {} answers checked, {:.0f} simulated s, {} "
      "failed\n",
      seeds, totals.lives, totals.rows, totals.answers,
      static_cast<double>(totals.simulated.count()) / 1e9, totals.failed);
  return totals.failed == 0 ? 0 : 1;
}

uint64_t NumberAt(int argc, char** argv, int index) {
  uint64_t value = 0;
  if (index < argc) {
    const std::string_view text = argv[index];
    std::from_chars(text.data(), text.data() + text.size(), value);
  }
  return value;
}

}  // namespace
}  // namespace headrace::simulation

int main(int argc, char** argv) {
  using namespace headrace::simulation;
  uint64_t seeds = 60;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--seed") {
      Totals totals;
      return RunSeed(NumberAt(argc, argv, i + 1), totals) ? 0 : 1;
    }
    if (option == "--seeds") seeds = NumberAt(argc, argv, i + 1);
  }
  return RunMany(seeds);
}
