#include "simulation/script.h"

#include <array>
#include <string_view>

#include "env/crash_points.h"

namespace headrace::simulation {
namespace {

using env::simulated::CrashKind;
using env::simulated::Faults;
using env::simulated::Operation;

bool OneIn(uint64_t n, std::mt19937_64& random) { return random() % n == 0; }

// Visited once or twice in a life.
bool IsRare(std::string_view point) {
  for (const std::string_view prefix :
       {"open.", "recovery.", "start.", "stop.", "definition.", "folder.", "change.",
        "publish.after_leftover", "delta.after_create", "rewrite.", "delta.before_replace",
        "delta.after_replace", "delta.before_evolving", "delta.after_evolving", "vacuum."})
    if (point.starts_with(prefix)) return true;
  return false;
}

void DrawCrash(const Shape& shape, Faults& faults, std::mt19937_64& random) {
  faults.crash_kind = OneIn(2, random) ? CrashKind::kPowerCut : CrashKind::kKill;
  if (shape.short_log && OneIn(3, random)) {  // rare otherwise: a segment must be let go
    constexpr std::array kPoints = {"retain.before_residue", "retain.after_put",
                                    "retain.after_residue",  "retain.before_remove",
                                    "retain.after_remove",   "retain.after_folder_sync"};
    faults.crash_point = kPoints[random() % kPoints.size()];
    return;
  }
  if (OneIn(5, random)) {  // a table is rewritten every ten seconds only
    constexpr std::array kPoints = {
        "delta.before_replace", "delta.after_replace",  "rewrite.before_plan",
        "rewrite.after_plan",   "rewrite.before_redo",  "rewrite.after_old_file",
        "rewrite.before_file",  "rewrite.after_file",   "rewrite.before_commit",
        "rewrite.after_commit", "rewrite.before_retry", "vacuum.before_remove",
        "vacuum.after_remove"};
    faults.crash_point = kPoints[random() % kPoints.size()];
    return;
  }
  if (shape.changes && OneIn(4, random)) {
    constexpr std::array kPoints = {
        "change.asked",          "change.before_build",    "change.after_piece",
        "change.before_aside",   "change.before_log",      "change.after_log",
        "change.cut_over",       "change.before_forget",   "change.start_build",
        "change.start_built",    "change.before_evolving", "change.after_evolving",
        "delta.before_evolving", "delta.after_evolving"};
    faults.crash_point = kPoints[random() % kPoints.size()];
    return;
  }
  switch (random() % 8) {
    case 0:
    case 1: {  // one after the other these two leave a torn tail and die over it
      constexpr std::array kPoints = {"log.after_write", "log.after_write",
                                      "recovery.before_zero_tail", "recovery.after_zero_write"};
      faults.crash_point = kPoints[random() % kPoints.size()];
      faults.crash_kind = CrashKind::kPowerCut;
      break;
    }
    case 2: faults.crash_operation = 1 + random() % 600; break;
    case 3: break;
    default:
      faults.crash_point = env::kCrashPoints[random() % env::kCrashPoints.size()];
      faults.crash_hit = IsRare(faults.crash_point) ? 1 : 1 + random() % 6;
  }
}

void DrawFailing(Faults& faults, std::mt19937_64& random) {
  for (size_t kind = 0; kind < env::simulated::kOperations; ++kind) {
    env::simulated::Failing& failing = faults.failing[kind];
    if (OneIn(6, random)) failing.number = 1 + random() % 60;
    if (OneIn(10, random)) failing.share = 0.002 + static_cast<double>(random() % 20) / 1000;
  }
  // A log that is read-only from the first second on shows little.
  if (OneIn(2, random)) faults[Operation::kSync] = {};
}

}  // namespace

Shape DrawShape(const Script& script, std::mt19937_64& random) {
  Shape shape;
  if (OneIn(4, random)) shape.clock = ClockKind::kWall;
  if (script.clock) shape.clock = *script.clock;
  shape.changes = script.troubles == Script::Troubles::kNone || OneIn(2, random);
  if (script.troubles == Script::Troubles::kNone) {
    shape.vacuum = true;
    return shape;
  }
  shape.failing_operations = OneIn(2, random);
  shape.slow_syncs = OneIn(2, random);
  shape.full_disk = OneIn(3, random);
  shape.clock_steps = OneIn(2, random);
  shape.foreign_writer = OneIn(3, random);
  shape.duplicates = !OneIn(4, random);
  shape.bit_flips = OneIn(3, random);
  shape.broken_connections = OneIn(2, random);
  shape.short_log = OneIn(3, random);
  shape.vacuum = OneIn(2, random);
  return shape;
}

Faults DrawFaults(const Shape& shape, std::mt19937_64& random) {
  Faults faults;
  DrawCrash(shape, faults, random);
  if (shape.failing_operations && !OneIn(3, random)) DrawFailing(faults, random);
  if (shape.slow_syncs && OneIn(2, random)) faults.slow_sync_share = 0.06;
  return faults;
}

}  // namespace headrace::simulation
