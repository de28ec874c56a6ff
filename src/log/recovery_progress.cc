#include "log/recovery_progress.h"

#include <algorithm>

namespace headrace::log {
namespace {

// Before that a rate says nothing.
constexpr base::Duration kRateAfter = std::chrono::milliseconds(100);

base::Duration Micros(env::MonotonicTime span) {
  return std::chrono::duration_cast<base::Duration>(span);
}
double Seconds(base::Duration span) { return std::chrono::duration<double>(span).count(); }

}  // namespace

std::string_view NameOf(RecoveryPhase phase) {
  switch (phase) {
    case RecoveryPhase::kOpening: return "opening";
    case RecoveryPhase::kSnapshot: return "reading_snapshot";
    case RecoveryPhase::kLog: return "reading_log";
    case RecoveryPhase::kReady: return "ready";
  }
  return "";
}

std::string_view Describe(RecoveryPhase phase) {
  switch (phase) {
    case RecoveryPhase::kOpening: return "opening the folder";
    case RecoveryPhase::kSnapshot: return "reading the snapshot";
    case RecoveryPhase::kLog: return "reading the log";
    case RecoveryPhase::kReady: return "ready";
  }
  return "";
}

RecoveryProgress::RecoveryProgress(env::Clock& clock)
    : clock_(clock), began_(clock.Now()), phase_began_(began_) {}

void RecoveryProgress::Begin(RecoveryPhase phase, uint64_t bytes_total) {
  const std::lock_guard lock(mutex_);
  phase_ = phase;
  phase_began_ = clock_.Now();
  bytes_total_ = bytes_total;
  rows_before_ = rows_.load(std::memory_order_relaxed);
  bytes_done_.store(0, std::memory_order_relaxed);
}

void RecoveryProgress::Note(uint64_t bytes, uint64_t rows) {
  bytes_done_.fetch_add(bytes, std::memory_order_relaxed);
  rows_.fetch_add(rows, std::memory_order_relaxed);
}

base::Result<void> RecoveryProgress::Check() const {
  if (!cancelled_.load(std::memory_order_relaxed)) return {};
  return base::Fail(base::ErrorCode::kUnavailable, "stopped while starting");
}

RecoveryFigures RecoveryProgress::figures() const {
  const std::lock_guard lock(mutex_);
  const bool ready = phase_ == RecoveryPhase::kReady;
  const env::MonotonicTime now = ready ? phase_began_ : clock_.Now();
  RecoveryFigures figures;
  figures.phase = phase_;
  figures.bytes_done = bytes_done_.load(std::memory_order_relaxed);
  figures.bytes_total = std::max(bytes_total_, figures.bytes_done);
  figures.rows = rows_.load(std::memory_order_relaxed);
  figures.in_phase = Micros(now - phase_began_);
  figures.elapsed = Micros(now - began_);
  if (ready || figures.in_phase < kRateAfter || figures.bytes_done == 0) return figures;
  const double seconds = Seconds(figures.in_phase);
  figures.bytes_per_second = static_cast<double>(figures.bytes_done) / seconds;
  figures.rows_per_second = static_cast<double>(figures.rows - rows_before_) / seconds;
  const auto missing = static_cast<double>(figures.bytes_total - figures.bytes_done);
  figures.left = base::Duration(static_cast<int64_t>(missing / figures.bytes_per_second * 1e6));
  return figures;
}

}  // namespace headrace::log
