#pragma once
// Where background work asks whether it may go on. A governor (watch/governor.h) shuts the gate for
// one class of work after another while the real-time stages are pressed; the work asks between
// small blocks (a row group, a snapshot's block, a piece of a training scan: some milliseconds
// each). Nobody is stopped for good: whoever waits says how long it may, and goes on then, which is
// counted and reported. Without a governor, as in simulation, the gate is always open.

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "env/clock.h"

namespace headrace::env {

// In the order of sacrifice: the first is paused first and resumed last.
enum class WorkClass : uint8_t {
  kTraining,     // `train` and `verify`, in processes of their own (env/pause_file.h)
  kMaintenance,  // rewriting of table files: OPTIMIZE, clean-up; views that are being built
  kSlowTables,   // commits of tables that may be minutes behind
  kTables,       // all other commits
  kSnapshots,    // of the state; last, because they bound the recovery
};
inline constexpr size_t kWorkClasses = 5;
std::string_view NameOf(WorkClass work);  // "training", "maintenance" ...

// What the gate knows of one class of work.
struct WorkClassFigures {
  bool paused = false;
  MonotonicTime since{0};  // when the running pause began
  std::string why;         // of the running or the last pause
  uint64_t pauses = 0;
  MonotonicTime paused_total{0};  // the running pause included
  uint64_t waiting = 0;           // pieces of work that wait now
  MonotonicTime waited_total{0};  // that work waited, all pieces together
  uint64_t overridden = 0;        // pieces that went on because their own bound came first
  std::string overridden_by;      // the last of them: "table flights: freshness 5s"
};

// Thread-safe. Part of every Environment.
class BackgroundGate {
 public:
  // Until the gate is open again, an asynchronous worker asks at most this often.
  static constexpr MonotonicTime kAskAgain = std::chrono::milliseconds(20);

  bool IsOpen(WorkClass work) const {
    return !shut_[static_cast<size_t>(work)].load(std::memory_order_acquire);
  }

  // The governor's side. Pausing what is paused changes only the reason; resuming wakes all that
  // wait.
  void Pause(WorkClass work, std::string why, MonotonicTime now);
  void Resume(WorkClass work, MonotonicTime now);
  WorkClassFigures Figures(WorkClass work, MonotonicTime now) const;

 private:
  friend class BackgroundPass;
  void BeginWaiting(WorkClass work);
  void EndWaiting(WorkClass work, MonotonicTime waited, std::string_view overridden_by);
  // Blocks until the gate is open for `work`, at most for `wait_max`.
  void WaitUntilOpen(WorkClass work, MonotonicTime wait_max);

  std::array<std::atomic<bool>, kWorkClasses> shut_{};
  mutable std::mutex mutex_;  // guards figures_
  std::condition_variable opened_;
  std::array<WorkClassFigures, kWorkClasses> figures_;
};

class Environment;

// One piece of background work (a commit, a snapshot, a training run) on its way through the gate.
// One thread at a time.
class BackgroundPass {
 public:
  // `bound` names what ends the waiting, for whoever reads the status: "table flights: freshness
  // 5s". The piece waits `wait_max` in all, however often the gate shuts; from then on it goes on.
  BackgroundPass(Environment& environment, WorkClass work, std::string bound,
                 MonotonicTime wait_max);
  ~BackgroundPass();
  BackgroundPass(const BackgroundPass&) = delete;
  BackgroundPass& operator=(const BackgroundPass&) = delete;

  // For actors: true when the next block may be done now. When not: ask again after
  // BackgroundGate::kAskAgain (Executor::PostAt), and do nothing until then.
  bool MayGoOn();
  // For loops that own their thread: returns when the next block may be done. Never in simulation
  // with the gate shut, since it would wait for itself.
  void Wait();
  // The same for at most `span`; false when the gate was still shut then.
  bool WaitFor(MonotonicTime span);
  MonotonicTime waited() const { return waited_; }

 private:
  void Leave(MonotonicTime now);

  BackgroundGate& gate_;
  Clock& clock_;
  const WorkClass work_;
  const std::string bound_;
  const MonotonicTime wait_max_;
  MonotonicTime waited_{0};
  MonotonicTime waiting_since_{0};
  bool waiting_ = false;
  bool overridden_ = false;
};

}  // namespace headrace::env
