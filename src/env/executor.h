#pragma once
// An actor's mailbox: tasks run one at a time, in the order of posting. Real: a thread each;
// simulated: all on one seeded loop.

#include <functional>
#include <memory>
#include <string>

#include "env/clock.h"

namespace headrace::env {

using Task = std::move_only_function<void()>;

// Post and PostAt from any thread. Tasks of one executor never overlap. The queue is not bounded
// here: actors bound what they accept (log::Sequencer, pipeline::Applier).
class Executor {
 public:
  virtual ~Executor() = default;
  virtual void Post(Task task) = 0;
  // Runs at or after `time` on Clock::Now().
  virtual void PostAt(MonotonicTime time, Task task) = 0;
};

enum class Priority {
  kRealTime,
  // As kRealTime, and looks out for more for 0.1 ms before it sleeps, while nobody else wants the
  // CPU: to be woken takes 30 to 80 us on a virtual machine, for those between whom a request goes
  // to and fro.
  kEager,
  kBackground,
};

}  // namespace headrace::env
