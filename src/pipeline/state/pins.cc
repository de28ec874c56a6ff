#include "pipeline/state/pins.h"

#include <algorithm>

namespace headrace::pipeline {
namespace {

// Threads begin to look at different slots, so that they rarely meet.
size_t FirstSlotOfThread() {
  static std::atomic<size_t> next{0};
  thread_local const size_t kFirst =
      next.fetch_add(17, std::memory_order_relaxed) % PinTable::kSlots;
  return kFirst;
}

}  // namespace

std::optional<PinTable::Taken> PinTable::Take(const std::atomic<Step>& visible,
                                              env::MonotonicTime now) {
  const size_t first = FirstSlotOfThread();
  for (size_t i = 0; i < kSlots; ++i) {
    const size_t index = (first + i) % kSlots;
    Slot& slot = slots_[index];
    uint64_t free = kFree;
    if (slot.word.load(std::memory_order_relaxed) != kFree ||
        !slot.word.compare_exchange_strong(free, kClaimed))
      continue;
    slot.taken_ns.store(now.count(), std::memory_order_relaxed);
    // Sequentially consistent store, then load: either the applier's look at the slots sees the
    // announcement, or this load sees the step that the applier published before it looked.
    Step step = visible.load();
    while (true) {
      slot.word.store(Announce(step));
      const Step now_visible = visible.load();
      if (now_visible == step) return Taken{index, step};
      step = now_visible;
    }
  }
  return std::nullopt;
}

void PinTable::Release(size_t slot) { slots_[slot].word.store(kFree, std::memory_order_release); }

bool PinTable::revoked(size_t slot) const {
  return (slots_[slot].word.load(std::memory_order_acquire) & kRevokedBit) != 0;
}

bool PinTable::TurnIntoHold(size_t slot) {
  return (slots_[slot].word.fetch_or(kRevokedBit) & kRevokedBit) == 0;
}

bool PinTable::AnyBefore(Step step) const {
  return std::any_of(slots_.begin(), slots_.end(), [step](const Slot& slot) {
    const uint64_t word = slot.word.load();
    return HasStep(word) && (word & kRevokedBit) == 0 && StepOf(word) < step;
  });
}

size_t PinTable::RevokeBefore(Step step, env::MonotonicTime taken_by) {
  size_t revoked = 0;
  for (Slot& slot : slots_) {
    uint64_t word = slot.word.load();
    if (!HasStep(word) || (word & kRevokedBit) != 0 || StepOf(word) >= step) continue;
    if (slot.taken_ns.load(std::memory_order_relaxed) > taken_by.count()) continue;
    // Fails only when the reader ends or announces a newer step at this very moment.
    if (slot.word.compare_exchange_strong(word, word | kRevokedBit)) ++revoked;
  }
  return revoked;
}

Step PinTable::Oldest(Step visible) const {
  Step oldest = visible;
  for (const Slot& slot : slots_) {
    const uint64_t word = slot.word.load();
    if (HasStep(word)) oldest = std::min(oldest, StepOf(word));
  }
  return oldest;
}

}  // namespace headrace::pipeline
