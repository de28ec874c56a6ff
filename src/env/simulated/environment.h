#pragma once
// A whole machine in one thread: simulated time, a faulty disk, every actor on one seeded loop. The
// same seed, faults and program give the same run, bit for bit. docs/internals/simulation.md tells
// how to write and replay one.
//
//   auto machine = std::make_unique<SimulatedEnvironment>(seed, faults);
//   if (machine->Run([&] { ...open the engine, submit... })) machine->RunUntilIdle();
//   machine->Crash();                              // unless a crash point did
//   engine.reset();                                // the dead process's memory
//   machine = machine->Reboot(seed + 1, faults);   // the disk is what the crash left

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "env/environment.h"
#include "env/simulated/disk.h"
#include "env/simulated/faults.h"
#include "env/simulated/files.h"
#include "env/simulated/loop.h"

namespace headrace::env::simulated {

// One life of a simulated process. One thread only. Outlives everything built on it.
class SimulatedEnvironment final : public Environment {
 public:
  explicit SimulatedEnvironment(uint64_t seed, Faults faults = {});
  ~SimulatedEnvironment() override;

  Clock& clock() override;
  Files& files() override { return *files_; }
  std::string BootId() override { return std::to_string(boot_.number); }
  void Random(std::span<uint8_t> out) override;
  std::unique_ptr<Executor> NewExecutor(const std::string& name, Priority priority) override;
  // At the planned visit the process dies here: SimulatedCrash is thrown. The name must be in
  // env/crash_points.h.
  void CrashPoint(const char* name) override;
  void Await(const std::function<void(std::function<void()>)>& begin) override;

  // Runs `main` as the process's own first thread. False: the process died in it.
  bool Run(const std::function<void()>& main);
  // One task. False: nothing is left to do, or the process is dead.
  bool Step() { return loop_.Step(); }
  // Until no task is ready and no sync is under way; timers that are not due stay. False: the
  // process died.
  bool RunUntilIdle();
  // Lets so much simulated time pass, timers included. False: the process died.
  bool RunFor(MonotonicTime span);
  // Until `done` holds. False: the process died, or nothing is left to do.
  bool RunUntil(const std::function<bool()>& done);

  // The process dies, now. The caller then drops what was built on this machine, and calls Reboot.
  void Crash(CrashKind kind = CrashKind::kPowerCut);
  bool crashed() const { return loop_.dead(); }
  // A new life on the same disk. After a power cut the machine has started anew, which takes five
  // seconds; else only the process, which takes one, and the monotonic clock has gone on. A life
  // that did not crash is shut down cleanly: its disk keeps all.
  std::unique_ptr<SimulatedEnvironment> Reboot(uint64_t seed, Faults faults = {});

  // Another machine with a copy of this one's disk as it is seen now, all of it durable.
  std::unique_ptr<SimulatedEnvironment> Copy(uint64_t seed, Faults faults = {}) const;

  // The wall clock jumps; the monotonic one does not.
  void StepWall(base::Duration by);
  Disk& disk() { return *disk_; }
  // Of this life's seed, for what else belongs to the machine.
  std::mt19937_64& random() { return loop_.random(); }
  Faults& faults() { return life_->faults; }
  uint64_t syncs() const { return life_->syncs; }
  // Operations of one kind in this life; and those that change the disk (Faults::crash_operation).
  uint64_t operations(Operation operation) const {
    return life_->operations[static_cast<size_t>(operation)];
  }
  uint64_t changes() const { return life_->changes; }
  // What this life suffered so far.
  const FaultCounts& injected() const { return life_->injected; }
  // Visits of each crash point in this life.
  const std::map<std::string, uint64_t, std::less<>>& crash_point_visits() const { return visits_; }
  // Of all choices, times and written bytes of this life.
  uint64_t trace_hash() const { return loop_.trace_hash(); }

 private:
  class SimulatedClock;
  struct Boot {
    uint64_t number = 1;
    MonotonicTime now{std::chrono::seconds(1)};  // when the life begins
    bool power_cut = false;                      // how it ended
  };
  SimulatedEnvironment(uint64_t seed, Faults faults, std::shared_ptr<Disk> disk,
                       base::Timestamp wall, Boot boot);

  Boot boot_;
  Loop loop_;
  std::shared_ptr<Disk> disk_;
  std::shared_ptr<Life> life_;
  std::unique_ptr<SimulatedClock> clock_;
  std::unique_ptr<Files> files_;
  std::map<std::string, uint64_t, std::less<>> visits_;
};

}  // namespace headrace::env::simulated
