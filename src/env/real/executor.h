#pragma once
// A mailbox with a thread of its own.

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "env/executor.h"

namespace headrace::env::real {

// Post and PostAt from any thread. The destructor (never on the own thread) runs all that was
// posted, what those tasks post included, then joins; timers that are not due by then are dropped
// unrun.
class ThreadExecutor final : public Executor {
 public:
  ThreadExecutor(const Clock& clock, std::string name, Priority priority);
  ~ThreadExecutor() override;

  void Post(Task task) override;
  void PostAt(MonotonicTime time, Task task) override;

 private:
  void Run(const std::string& name, Priority priority);
  // Moves due timers behind the posted tasks. Under mutex_.
  void CollectDueTimers();
  // kEager: until something is posted, or for kLookOut. Gives mutex_ back meanwhile.
  void LookOut(std::unique_lock<std::mutex>& lock);
  // Waits for work. False: stopping and nothing is left. Under mutex_.
  bool WaitForWork(std::unique_lock<std::mutex>& lock);

  const Clock& clock_;
  const Priority priority_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Task> posted_;
  std::atomic<bool> has_posted_{false};        // written under mutex_
  std::multimap<MonotonicTime, Task> timers_;  // equal times run in the order of posting
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace headrace::env::real
