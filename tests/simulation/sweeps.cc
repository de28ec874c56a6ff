#include "simulation/sweeps.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <functional>
#include <vector>

#include <fmt/core.h>

#include "env/crash_points.h"
#include "simulation/flips.h"
#include "simulation/world.h"

namespace headrace::simulation {
namespace {

using env::simulated::CrashKind;
using env::simulated::Faults;
using env::simulated::Operation;

constexpr uint64_t kFailuresTurns = 5;  // each of its operations is a run
constexpr uint64_t kCrashesTurns = 24;
constexpr uint64_t kPairsMin = 300;
constexpr uint64_t kPowerLives = 20;

std::string TextOf(const Arguments& arguments, const std::string& name) {
  const auto found = arguments.find(name);
  return found == arguments.end() ? "" : found->second;
}

// A long sweep in parts: `--from` says where it begins, `--minutes` how long it takes at most.
class Part {
 public:
  explicit Part(const Arguments& arguments)
      : from_(NumberOf(arguments, "from", 1)),
        end_(std::chrono::steady_clock::now() +
             std::chrono::minutes(NumberOf(arguments, "minutes", kWithoutEnd))) {}
  uint64_t from() const { return from_; }
  // True: `next` is not done any more.
  bool EndsBefore(uint64_t next) {
    if (std::chrono::steady_clock::now() < end_) return false;
    fmt::print("time is up: go on with --from {}\n", next);
    return true;
  }

 private:
  static constexpr uint64_t kWithoutEnd = 60UL * 24 * 365;
  const uint64_t from_;
  const std::chrono::steady_clock::time_point end_;
};

std::string_view NameOf(ClockKind clock) { return clock == ClockKind::kWall ? "wall" : "events"; }

// True: it passed.
bool Passed(const Outcome& outcome, const std::string& replay) {
  if (outcome.failure.empty()) return true;
  fmt::print(stderr, "failed: {}\nreplay: {} {}\n", outcome.failure, kProgram, replay);
  return false;
}

// One life that is cut off by a power cut, then one without faults.
// `turns`: of a short run.
Script Smoke(ClockKind clock, const Faults& faults, Length length, uint64_t turns) {
  return {.seed = 1,
          .lives = 1,
          .troubles = Script::Troubles::kNone,
          .faults = {faults},
          .clock = clock,
          .leave = CrashKind::kPowerCut,
          .turns_max = length == Length::kLong ? 400U : turns,
          .quiet = Script::Quiet::kDrawn,
          .check = Script::Check::kAtTheEnd};
}

std::vector<ClockKind> ClocksOf(const Arguments& arguments) {
  const std::string asked = TextOf(arguments, "clock");
  if (asked == "wall") return {ClockKind::kWall};
  if (asked == "events") return {ClockKind::kEvents};
  return {ClockKind::kEvents, ClockKind::kWall};
}

}  // namespace

uint64_t NumberOf(const Arguments& arguments, const std::string& name, uint64_t otherwise) {
  const auto found = arguments.find(name);
  if (found == arguments.end()) return otherwise;
  uint64_t value = 0;
  std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
  return value;
}

int SweepFailures(const Arguments& arguments, Length length) {
  const std::string only = TextOf(arguments, "kind");
  uint64_t runs = 0;
  uint64_t failed = 0;
  uint64_t rows = 0;
  for (const ClockKind clock : ClocksOf(arguments)) {
    World smoke(Smoke(clock, {}, length, kFailuresTurns));
    if (!Passed(smoke.Run(), "failures")) return 1;
    for (size_t kind = 0; kind < env::simulated::kOperations; ++kind) {
      const auto operation = static_cast<Operation>(kind);
      if (!only.empty() && only != NameOf(operation)) continue;
      const uint64_t operations = smoke.operations_of_first_life(operation);
      // Reads are many, and nothing is acknowledged by one.
      const uint64_t step = operation == Operation::kRead && length != Length::kLong ? 5 : 1;
      uint64_t tried = 0;
      uint64_t hits = 0;
      for (uint64_t number = NumberOf(arguments, "number", 1);
           number <= NumberOf(arguments, "number", operations); number += step) {
        Faults faults;
        faults[operation].number = number;
        const Outcome outcome = World(Smoke(clock, faults, length, kFailuresTurns)).Run();
        if (!Passed(outcome, fmt::format("failures --kind \"{}\" --number {} --clock {}",
                                         NameOf(operation), number, NameOf(clock))))
          ++failed;
        hits += outcome.faults.contains("failed " + std::string(NameOf(operation)));
        rows += outcome.acknowledged_rows;
        ++tried;
      }
      runs += tried;
      if (hits != tried) {
        fmt::print(stderr, "failed: {} of {} tried: {}\n", hits, tried, NameOf(operation));
        ++failed;
      }
      fmt::print("  clock {}: {} of {} failed once{}: {}\n", NameOf(clock), hits, operations,
                 step == 1 ? "" : fmt::format(", every {}th tried", step), NameOf(operation));
    }
  }
  fmt::print("failures: {} runs, {} acknowledged rows, {} failed\n", runs, rows, failed);
  return failed == 0 ? 0 : 1;
}

int SweepCrashes(const Arguments& arguments, Length length) {
  uint64_t runs = 0;
  uint64_t failed = 0;
  uint64_t died = 0;
  for (const ClockKind clock : ClocksOf(arguments)) {
    World smoke(Smoke(clock, {}, length, kCrashesTurns));
    if (!Passed(smoke.Run(), "crashes")) return 1;
    const uint64_t changes = smoke.changes_of_first_life();
    for (uint64_t number = NumberOf(arguments, "number", 1);
         number <= NumberOf(arguments, "number", changes); ++number) {
      Faults faults;
      faults.crash_operation = number;
      faults.crash_kind = number % 3 == 0 ? CrashKind::kKill : CrashKind::kPowerCut;
      const Outcome outcome = World(Smoke(clock, faults, length, kCrashesTurns)).Run();
      if (!Passed(outcome, fmt::format("crashes --number {} --clock {}", number, NameOf(clock))))
        ++failed;
      ++runs;
      died += outcome.faults.contains("crash at an operation") ? 1 : 0;
    }
  }
  if (died != runs) {
    fmt::print(stderr, "failed: {} of {} lives died where they should\n", died, runs);
    ++failed;
  }
  fmt::print("crashes: {} changes of the disk, died before each once, {} failed\n", runs, failed);
  return failed == 0 ? 0 : 1;
}

namespace {

// A life whose power goes in the middle of a write, so that there is a tail to mend; a crash at
// `first`; and one at `second`, which the start or the life after it comes by.
Script PairScript(uint64_t seed, std::string_view first, std::string_view second) {
  Faults torn{.crash_point = "log.after_write", .crash_hit = 12};
  Faults one{.crash_point = std::string(first)};
  Faults two{.crash_point = std::string(second)};
  one.crash_kind = seed % 2 == 0 ? CrashKind::kPowerCut : CrashKind::kKill;
  two.crash_kind = seed % 3 == 0 ? CrashKind::kKill : CrashKind::kPowerCut;
  return {.seed = seed,
          .lives = 3,
          .troubles = Script::Troubles::kNone,
          .faults = {torn, one, two},
          .clock = seed % 2 == 0 ? ClockKind::kEvents : ClockKind::kWall,
          .leave = std::nullopt,
          .turns_max = 24,
          .quiet = Script::Quiet::kDrawn,
          .check = Script::Check::kEveryLife};
}

}  // namespace

int SweepPairs(const Arguments& arguments, Length length) {
  const std::string only_first = TextOf(arguments, "first");
  const std::string only_second = TextOf(arguments, "second");
  const size_t points = env::kCrashPoints.size();
  // Of each first one this many seconds; 13 has no factor in common with the number of points.
  const size_t seconds = length == Length::kLong || !only_first.empty() ? points : 12;
  uint64_t tried = 0;
  uint64_t reached = 0;
  uint64_t failed = 0;
  Part part(arguments);
  const bool whole = only_first.empty() && part.from() == 1 && !arguments.contains("minutes");
  for (size_t number = part.from() - 1; number < points * seconds; ++number) {
    if (part.EndsBefore(number + 1)) break;
    const size_t i = number / seconds;
    const size_t k = number % seconds;
    const std::string_view first = env::kCrashPoints[i];
    const std::string_view second = env::kCrashPoints[(i * 5 + k * 13) % points];
    if (!only_first.empty() && (first != only_first || second != only_second)) continue;
    const uint64_t seed = NumberOf(arguments, "seed", 1 + i * points + k);
    const Outcome outcome = World(PairScript(seed, first, second)).Run();
    if (!Passed(outcome,
                fmt::format("pairs --first {} --second {} --seed {}", first, second, seed)))
      ++failed;
    const auto crashes = [&](std::string_view point) {
      const auto found = outcome.crashed_at.find(std::string(point));
      return found == outcome.crashed_at.end() ? 0 : found->second;
    };
    reached += first == second ? crashes(first) > 1 : crashes(first) > 0 && crashes(second) > 0;
    ++tried;
  }
  fmt::print("pairs: {} tried, crashed at both points of {}, {} failed\n", tried, reached, failed);
  if (whole && reached < kPairsMin) {
    fmt::print(stderr, "fewer than {} pairs were reached\n", kPairsMin);
    ++failed;
  }
  return failed == 0 ? 0 : 1;
}

int SweepFlips(const Arguments& arguments, Length length) {
  constexpr uint64_t kFolders = 10;  // each made by a history of its own
  const uint64_t flips = (length == Length::kLong ? 1'000'000 : 5'000) / kFolders;
  const uint64_t only_seed = NumberOf(arguments, "seed", 0);
  const uint64_t only_flip = NumberOf(arguments, "flip", 0);
  std::map<FlipVerdict::Is, uint64_t> counts;
  uint64_t tried = 0;
  uint64_t failed = 0;
  Part part(arguments);
  const uint64_t first_folder = 1 + (part.from() - 1) / flips;
  bool ended = false;
  for (uint64_t seed = first_folder; seed <= kFolders && !ended; ++seed) {
    if (only_seed != 0 && seed != only_seed) continue;
    World world({.seed = seed, .lives = 3, .turns_max = 40});
    if (!Passed(world.Run(), fmt::format("flips --seed {}", seed))) return 1;
    const std::set<std::string> unread = UnreadDataFiles(world.machine());
    const uint64_t first = seed == first_folder ? 1 + (part.from() - 1) % flips : 1;
    for (uint64_t number = first; number <= flips; ++number) {
      if (only_flip != 0 && number != only_flip) continue;
      ended = part.EndsBefore((seed - 1) * flips + number);
      if (ended) break;
      std::mt19937_64 random(seed * 1'000'000'007 + number);
      const auto flip = DrawFlip(world.machine().disk(), unread, random);
      const FlipVerdict verdict = TryFlip(world, *flip, random());
      ++tried;
      if (verdict.wrong) {
        ++failed;
        fmt::print(stderr, "failed: {}\nreplay: {} flips --seed {} --flip {}\n", *verdict.wrong,
                   kProgram, seed, number);
      } else {
        ++counts[verdict.is];
      }
    }
  }
  using Is = FlipVerdict::Is;
  fmt::print("flips: {} of {} folders: {} detected, {} repaired, {} read the same, {} failed\n",
             tried, kFolders, counts[Is::kDetected], counts[Is::kRepaired], counts[Is::kHarmless],
             failed);
  return failed == 0 ? 0 : 1;
}

int SweepPower(const Arguments& arguments, Length length) {
  const uint64_t cycles = length == Length::kLong ? 100'000 : 1'000;
  const uint64_t only = NumberOf(arguments, "seed", 0);
  uint64_t cuts = 0;
  uint64_t rows = 0;
  uint64_t failed = 0;
  Part part(arguments);
  for (uint64_t seed = only != 0 ? only : part.from(); cuts < cycles; ++seed) {
    if (part.EndsBefore(seed)) break;
    Script script{.seed = seed,
                  .lives = kPowerLives,
                  .troubles = Script::Troubles::kNone,
                  .faults = std::vector<Faults>(kPowerLives),
                  .leave = CrashKind::kPowerCut,
                  .turns_max = 16,
                  .quiet = Script::Quiet::kNone,
                  .check = Script::Check::kEveryLife};
    const Outcome outcome = World(std::move(script)).Run();
    if (!Passed(outcome, fmt::format("power --seed {}", seed))) ++failed;
    const auto found = outcome.faults.find("power cut");
    cuts += found == outcome.faults.end() ? 0 : found->second;
    rows += outcome.acknowledged_rows;
    if (only != 0 || failed > 10) break;
  }
  fmt::print("power: {} cuts, {} acknowledged rows, {} failed\n", cuts, rows, failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace headrace::simulation
