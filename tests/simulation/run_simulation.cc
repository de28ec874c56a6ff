// headrace_simulation [--seeds N] [--from S] [--minutes M] [--failures-max F]: runs N histories
// from seed S (1) on; with a limit of time or failures, as many of them as it lets. It ends with
// one trace of all of them: two builds that give the same did the same. headrace_simulation --seed
// S: one history alone. headrace_simulation failures | crashes | pairs | flips | power | replay: a
// sweep (sweeps.h).
//
// HEADRACE_TEST_LONG in the environment makes each of them long. Fails when a history does, when a
// named crash point was never reached, or when a seed does not replay to the same trace. Each
// failure prints the command that replays it.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <fmt/core.h>

#include "env/crash_points.h"
#include "simulation/sweeps.h"
#include "simulation/world.h"

namespace headrace::simulation {
namespace {

// What a seed has on average, at least: 60 hours and 20,000 faults of 400.
constexpr double kHoursOfASeed = 0.15;
constexpr uint64_t kFaultsOfASeed = 50;
constexpr uint64_t kSeedsForEveryPoint = 300;  // fewer need not reach every crash point

struct Totals {
  uint64_t seeds = 0;
  uint64_t failed = 0;
  uint64_t lives = 0;
  uint64_t rows = 0;
  uint64_t answers = 0;
  uint64_t scans = 0;
  uint64_t repeats = 0;
  uint64_t trace_hash = 0;
  env::MonotonicTime simulated{0};
  std::map<std::string, uint64_t> visits;
  std::map<std::string, uint64_t> crashed_at;
  env::simulated::FaultCounts faults;

  uint64_t fault_count() const {
    uint64_t sum = 0;
    for (const auto& [kind, count] : faults) sum += count;
    return sum;
  }
  double hours() const { return static_cast<double>(simulated.count()) / 3.6e12; }
};

void Add(const Outcome& outcome, Totals& totals) {
  ++totals.seeds;
  totals.lives += outcome.lives;
  totals.rows += outcome.acknowledged_rows;
  totals.answers += outcome.answers_checked;
  totals.scans += outcome.scans_checked;
  totals.repeats += outcome.repeated_batches;
  totals.simulated += outcome.simulated;
  totals.trace_hash = totals.trace_hash * 31 + outcome.trace_hash;
  for (const auto& [name, visits] : outcome.crash_point_visits) totals.visits[name] += visits;
  for (const auto& [name, crashes] : outcome.crashed_at) totals.crashed_at[name] += crashes;
  for (const auto& [kind, count] : outcome.faults) totals.faults[kind] += count;
}

bool RunSeed(uint64_t seed, Totals& totals) {
  const Outcome outcome = World({.seed = seed}).Run();
  Add(outcome, totals);
  if (outcome.failure.empty()) return true;
  fmt::print(stderr, "seed {} failed: {}\nreplay: {} --seed {}\n", seed, outcome.failure, kProgram,
             seed);
  ++totals.failed;
  return false;
}

bool Replays(uint64_t seed) {
  const uint64_t first = World({.seed = seed}).Run().trace_hash;
  return World({.seed = seed}).Run().trace_hash == first;
}

void Report(const Totals& totals) {
  fmt::print(
      "{} seeds, {} lives, {:.1f} simulated hours, {} faults, {} acknowledged rows, {} repeats, {} "
      "answers and {} scans checked, {} of {} crash points visited, {} crashed at, trace {:016x}, "
      "{} "
      "failed\n",
      totals.seeds, totals.lives, totals.hours(), totals.fault_count(), totals.rows, totals.repeats,
      totals.answers, totals.scans, totals.visits.size(), env::kCrashPoints.size(),
      totals.crashed_at.size(), totals.trace_hash, totals.failed);
  for (const auto& [kind, count] : totals.faults) fmt::print("  {:>8} {}\n", count, kind);
}

struct Limits {
  uint64_t from = 1;
  uint64_t seeds = 400;
  uint64_t minutes = 0;  // 0: none
  uint64_t failures = 0;
};

int RunMany(const Limits& limits) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  auto told = begin;
  Totals totals;
  for (uint64_t seed = limits.from; seed < limits.from + limits.seeds; ++seed) {
    RunSeed(seed, totals);
    const auto now = Clock::now();
    if (now - told > std::chrono::seconds(30)) {
      told = now;
      fmt::print("{} of {} seeds, {:.1f} simulated hours, {} faults, {} failed\n", totals.seeds,
                 limits.seeds, totals.hours(), totals.fault_count(), totals.failed);
      std::fflush(stdout);
    }
    if (limits.failures > 0 && totals.failed >= limits.failures) break;
    if (limits.minutes > 0 && now - begin > std::chrono::minutes(limits.minutes)) {
      fmt::print("time is up after {} of {} seeds\n", totals.seeds, limits.seeds);
      break;
    }
  }
  for (const std::string_view point : env::kCrashPoints) {
    if (totals.visits.contains(std::string(point)) || totals.seeds < kSeedsForEveryPoint) continue;
    fmt::print(stderr, "crash point {} was never reached\n", point);
    ++totals.failed;
  }
  if (totals.seeds >= kSeedsForEveryPoint &&
      (totals.hours() < kHoursOfASeed * static_cast<double>(totals.seeds) ||
       totals.fault_count() < kFaultsOfASeed * totals.seeds)) {
    fmt::print(stderr, "too little happened: {:.1f} simulated hours, {} faults\n", totals.hours(),
               totals.fault_count());
    ++totals.failed;
  }
  if (totals.failed == 0 && !Replays(limits.from)) {
    fmt::print(stderr, "seed {} does not replay to the same trace\n", limits.from);
    ++totals.failed;
  }
  Report(totals);
  return totals.failed == 0 ? 0 : 1;
}

// Seeds that died in many ways give the same trace each time.
int CheckReplay(uint64_t times) {
  constexpr uint64_t kSeed = 7;
  const uint64_t first = World({.seed = kSeed}).Run().trace_hash;
  uint64_t same = 1;
  for (uint64_t i = 1; i < times; ++i)
    same += World({.seed = kSeed}).Run().trace_hash == first ? 1 : 0;
  fmt::print("replay: seed {}, trace {:016x}, the same {} of {} times\n", kSeed, first, same,
             times);
  return same == times ? 0 : 1;
}

int RunOne(uint64_t seed) {
  Totals totals;
  const bool passed = RunSeed(seed, totals);
  Report(totals);
  return passed ? 0 : 1;
}

int Run(const std::string& what, const Arguments& arguments, Length length) {
  if (what == "failures") return SweepFailures(arguments, length);
  if (what == "crashes") return SweepCrashes(arguments, length);
  if (what == "pairs") return SweepPairs(arguments, length);
  if (what == "flips") return SweepFlips(arguments, length);
  if (what == "power") return SweepPower(arguments, length);
  if (what == "replay") return CheckReplay(length == Length::kLong ? 200 : 20);
  if (what != "seeds") {
    fmt::print(stderr, "no sweep `{}`: seeds, failures, crashes, pairs, flips, power, replay\n",
               what);
    return 2;
  }
  if (const uint64_t seed = NumberOf(arguments, "seed", 0); seed != 0) return RunOne(seed);
  return RunMany({.from = NumberOf(arguments, "from", 1),
                  .seeds = NumberOf(arguments, "seeds", length == Length::kLong ? 100'000 : 400),
                  .minutes = NumberOf(arguments, "minutes", 0),
                  .failures = NumberOf(arguments, "failures-max", 0)});
}

}  // namespace
}  // namespace headrace::simulation

int main(int argc, char** argv) {
  using namespace headrace::simulation;
  std::string what = "seeds";
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (!word.starts_with("--")) {
      what = word;
    } else if (i + 1 < argc) {
      arguments[std::string(word.substr(2))] = argv[++i];
    }
  }
  const bool is_long = std::getenv("HEADRACE_TEST_LONG") != nullptr;
  return Run(what, arguments, is_long ? Length::kLong : Length::kShort);
}
