#pragma once
// All mailboxes of a simulated machine on one seeded loop: which of the ready ones goes next is
// drawn, time passes only here.

#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>

#include "env/executor.h"

namespace headrace::env::simulated {

// Thrown by Environment::CrashPoint at the planned visit, through whatever the dying process was
// doing. Only the loop and SimulatedEnvironment::Run catch it; code under test never does.
struct SimulatedCrash {};

// Not thread-safe.
class Loop {
 public:
  Loop(uint64_t seed, MonotonicTime begin) : random_(seed), now_(begin) {}

  std::mt19937_64& random() { return random_; }
  MonotonicTime now() const { return now_; }
  // A blocking call took this long.
  void Pass(MonotonicTime span) { now_ += span; }
  MonotonicTime Draw(MonotonicTime from, MonotonicTime to);

  std::unique_ptr<Executor> NewExecutor(std::string name);
  // `task` goes to `executor` (one of NewExecutor's) at `time`: something outside the process
  // replies.
  void ReplyAt(MonotonicTime time, Executor& executor, Task task);

  // Runs one task; when none is ready, time jumps to the next reply or timer. False: nothing is
  // left, or the process is dead.
  bool Step();
  // True while a task is ready or a reply is on its way; timers that are not due don't count.
  bool busy() const;
  // Drops everything; from now on nothing runs and nothing is taken.
  void Die();
  bool dead() const { return dead_; }
  // Of every choice so far: the same seed gives the same.
  uint64_t trace_hash() const { return trace_; }
  void Trace(uint64_t value);

 private:
  friend class SimulatedExecutor;
  struct Mailbox {
    std::string name;
    std::deque<Task> ready;
    bool running = false;
    int replies_on_their_way = 0;
  };
  using MailboxRef = std::shared_ptr<Mailbox>;
  struct Event {
    std::weak_ptr<Mailbox> mailbox;  // gone: dropped
    Task task;
    bool is_reply = false;
  };
  void Post(Mailbox& mailbox, Task task);
  void PostAt(MonotonicTime time, const MailboxRef& mailbox, Task task, bool is_reply);
  // Runs until the mailbox is empty and nothing will reply to it, then forgets it.
  void Close(const MailboxRef& mailbox);
  void CollectDue();
  MailboxRef PickReady();
  void RunOne(Mailbox& mailbox);

  std::mt19937_64 random_;
  MonotonicTime now_;
  std::multimap<MonotonicTime, Event> events_;
  std::vector<MailboxRef> mailboxes_;
  bool dead_ = false;
  uint64_t trace_ = 0;
};

}  // namespace headrace::env::simulated
