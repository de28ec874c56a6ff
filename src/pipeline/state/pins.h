#pragma once
// Who reads which step of the state. A reader takes a slot and announces its step there before it
// looks at anything; the applier looks at all slots before it overwrites a version or frees memory.
// Nobody waits, nobody locks.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "env/clock.h"
#include "pipeline/state/state_memory.h"

namespace headrace::pipeline {

class PinTable {
 public:
  static constexpr size_t kSlots = 256;

  // Announces the step in `visible` and makes sure that it was still the visible one afterwards.
  // Nothing when all slots are taken. Any thread.
  struct Taken {
    size_t slot;
    Step step;
  };
  std::optional<Taken> Take(const std::atomic<Step>& visible, env::MonotonicTime now);
  // Ends a reader's hold, revoked or not. Any thread.
  void Release(size_t slot);
  // True once the applier has taken the version away. What was read before a `false` is whole. Any
  // thread.
  bool revoked(size_t slot) const;
  // The reader gives its version up, and keeps the memory that it can find until Release: from now
  // on the applier does not wait for it. False when the version was taken away before. Its reader
  // only.
  bool TurnIntoHold(size_t slot);
  // The step that a taken slot announces. Its reader only.
  Step StepOfSlot(size_t slot) const {
    return StepOf(slots_[slot].word.load(std::memory_order_relaxed));
  }

  // The applier's questions and orders.
  // Whether a pin that is not revoked holds a step before `step`.
  bool AnyBefore(Step step) const;
  // Revokes pins of steps before `step` that were taken at or before `taken_by`. Returns how many.
  size_t RevokeBefore(Step step, env::MonotonicTime taken_by);
  // The oldest step that a reader can still look at, revoked pins included (they may be reading
  // right now); `visible` if none.
  Step Oldest(Step visible) const;

 private:
  // 0: free; 1: claimed, no step announced; else step << 2 | 2, with the lowest bit set when
  // revoked.
  static constexpr uint64_t kFree = 0;
  static constexpr uint64_t kClaimed = 1;
  static constexpr uint64_t kRevokedBit = 1;
  static uint64_t Announce(Step step) { return step << 2 | 2; }
  static bool HasStep(uint64_t word) { return word > kClaimed; }
  static Step StepOf(uint64_t word) { return word >> 2; }

  struct alignas(64) Slot {
    std::atomic<uint64_t> word{kFree};
    std::atomic<int64_t> taken_ns{0};
  };
  std::array<Slot, kSlots> slots_;
};

}  // namespace headrace::pipeline
