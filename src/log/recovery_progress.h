#pragma once
// How far an engine's start is: written by whoever reads the snapshot and the log, read by whoever
// answers for the engine meanwhile.

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "env/clock.h"

namespace headrace::log {

enum class RecoveryPhase : uint8_t {
  kOpening,   // nothing read yet
  kSnapshot,  // reading a snapshot of the state
  kLog,       // reading the log and applying it
  kReady,
};
std::string_view NameOf(RecoveryPhase phase);    // "opening", "reading_snapshot" ...
std::string_view Describe(RecoveryPhase phase);  // "reading the log", for people

// One moment of a start.
struct RecoveryFigures {
  RecoveryPhase phase = RecoveryPhase::kOpening;
  uint64_t bytes_done = 0, bytes_total = 0;  // of the phase; the total is an estimate
  uint64_t rows = 0;                         // of all phases
  base::Duration in_phase{0};
  base::Duration elapsed{0};           // since the start; stays when ready
  double bytes_per_second = 0;         // of the phase
  double rows_per_second = 0;          // of the phase
  std::optional<base::Duration> left;  // nothing until there is a rate to tell it by
};

// Thread-safe.
class RecoveryProgress {
 public:
  explicit RecoveryProgress(env::Clock& clock);

  // The writer's side. Each phase counts its bytes from 0.
  void Begin(RecoveryPhase phase, uint64_t bytes_total);
  void Note(uint64_t bytes, uint64_t rows);
  // kUnavailable once Cancel was called: the start ends with it, at the next record.
  base::Result<void> Check() const;

  // The reader's side.
  RecoveryFigures figures() const;
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }

 private:
  env::Clock& clock_;
  const env::MonotonicTime began_;
  std::atomic<bool> cancelled_{false};
  std::atomic<uint64_t> bytes_done_{0};
  std::atomic<uint64_t> rows_{0};
  mutable std::mutex mutex_;  // guards the rest
  RecoveryPhase phase_ = RecoveryPhase::kOpening;
  env::MonotonicTime phase_began_;
  uint64_t bytes_total_ = 0;
  uint64_t rows_before_ = 0;  // of earlier phases
};

}  // namespace headrace::log
