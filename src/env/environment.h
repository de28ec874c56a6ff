#pragma once
// All that the engine sees of the outside world, in one place: real (env/real) or simulated
// (env/simulated).

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "env/background_gate.h"
#include "env/clock.h"
#include "env/executor.h"
#include "env/files.h"

namespace headrace::env {

// Outlives everything built on it. Thread-safe.
class Environment {
 public:
  virtual ~Environment() = default;
  virtual Clock& clock() = 0;
  virtual Files& files() = 0;
  // Names the start of the machine since which the clock's Now() counts: between two processes with
  // the same one, their readings compare.
  virtual std::string BootId() = 0;
  // Fills with random bytes (ids); the simulation's come from its seed.
  virtual void Random(std::span<uint8_t> out) = 0;
  // A new mailbox; `name` shows in thread lists. Destroying it runs what was posted before, then
  // ends its thread.
  virtual std::unique_ptr<Executor> NewExecutor(const std::string& name, Priority priority) = 0;
  // A named place where the simulation may kill the process ("log.after_write"); does nothing
  // outside it. Names are listed in src/env/crash_points.h.
  virtual void CrashPoint(const char* name) = 0;
  // Runs `begin` and blocks the calling thread until what it was given was called, from any thread.
  // The other actors go on, in simulation too. Not from an executor's task.
  virtual void Await(const std::function<void(std::function<void()>)>& begin) = 0;
  // Where background work asks whether it may go on; open until a governor shuts it.
  BackgroundGate& background() { return background_; }

 private:
  BackgroundGate background_;
};

// The machine we run on.
std::unique_ptr<Environment> MakeRealEnvironment();

}  // namespace headrace::env
