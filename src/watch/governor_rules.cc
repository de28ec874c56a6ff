#include "watch/governor_rules.h"

#include <algorithm>

namespace headrace::watch {

void GovernorRules::Step(env::MonotonicTime now, std::span<const Pressure> pressures) {
  worst_ = {};
  for (const Pressure& pressure : pressures)
    if (pressure.share > worst_.share) worst_ = pressure;
  MoveLevel(now);
  for (size_t i = 0; i < classes_.size(); ++i) MoveClass(now, i);
}

void GovernorRules::MoveLevel(env::MonotonicTime now) {
  if (worst_.share >= limits_.pressed_share) {
    relaxed_ = false;
    const bool at_once = level_ == 0 || worst_.share >= 1;
    if (!at_once && now - escalated_at_ < limits_.escalate_every) return;
    level_ = std::min(level_ + 1, classes_.size());
    escalated_at_ = now;
    return;
  }
  if (worst_.share >= limits_.relaxed_share) {
    relaxed_ = false;
    return;
  }
  if (!relaxed_) {
    relaxed_ = true;
    relaxed_since_ = now;
  }
  if (level_ == 0 || now - relaxed_since_ < limits_.relax_after) return;
  --level_;
  relaxed_since_ = now;
}

void GovernorRules::MoveClass(env::MonotonicTime now, size_t work) {
  Class& moved = classes_[work];
  const bool wanted = work < level_ && now >= moved.through_until;
  if (wanted && moved.paused && now - moved.since >= limits_.pause_max[work]) {
    moved.paused = false;
    moved.through_until = now + limits_.pause_max[work] / 4;
    ++moved.let_through;
    return;
  }
  if (wanted && !moved.paused) moved.since = now;
  moved.paused = wanted;
}

}  // namespace headrace::watch
