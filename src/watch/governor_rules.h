#pragma once
// When which class of background work is paused: decisions only, without clock, threads or work.
//
// 1. Each step gets the pressure on each real-time stage, as the share of its budget that it takes.
// 2. From `pressed_share` on one class more is paused, in the order of sacrifice, at once and then
//    every `escalate_every`; from the whole budget on at every step.
// 3. Below `relaxed_share` for `relax_after`, one class goes on, the last that was paused first;
// and
//    so on. In between everything stays as it is.
// 4. No class is paused for longer than its `pause_max` at a stretch: it is let through for a
//    quarter of that, whatever the pressure, and that is counted.

#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>

#include "env/background_gate.h"

namespace headrace::watch {

// What one stage takes of what it may take.
struct Pressure {
  std::string what;   // "serve"
  double share = 0;   // 1: the whole budget
  std::string taken;  // "p99 41 ms of 50 ms", for people
};

// Named limits.
struct GovernorLimits {
  double pressed_share = 0.7;
  double relaxed_share = 0.5;
  env::MonotonicTime escalate_every = std::chrono::milliseconds(500);
  env::MonotonicTime relax_after = std::chrono::seconds(2);
  // By class, in the order of sacrifice. Tables and snapshots bring bounds of their own, from the
  // table's interval and the promised recovery, which end a wait earlier.
  std::array<env::MonotonicTime, env::kWorkClasses> pause_max = {
      std::chrono::minutes(10), std::chrono::minutes(5), std::chrono::minutes(1),
      std::chrono::seconds(10), std::chrono::seconds(10)};
};

// Not thread-safe.
class GovernorRules {
 public:
  explicit GovernorRules(GovernorLimits limits = {}) : limits_(limits) {}

  // Times never go back.
  void Step(env::MonotonicTime now, std::span<const Pressure> pressures);

  bool paused(env::WorkClass work) const { return classes_[static_cast<size_t>(work)].paused; }
  // How many classes the pressure asks to be paused.
  size_t level() const { return level_; }
  // The stage that is pressed most, as of the last step.
  const Pressure& worst() const { return worst_; }
  // How often a class was let through because of its pause_max.
  uint64_t let_through(env::WorkClass work) const {
    return classes_[static_cast<size_t>(work)].let_through;
  }

 private:
  struct Class {
    bool paused = false;
    env::MonotonicTime since{0};          // paused
    env::MonotonicTime through_until{0};  // let through
    uint64_t let_through = 0;
  };
  void MoveLevel(env::MonotonicTime now);
  void MoveClass(env::MonotonicTime now, size_t work);

  const GovernorLimits limits_;
  Pressure worst_;
  size_t level_ = 0;
  env::MonotonicTime escalated_at_{0};
  env::MonotonicTime relaxed_since_{0};
  bool relaxed_ = false;
  std::array<Class, env::kWorkClasses> classes_;
};

}  // namespace headrace::watch
