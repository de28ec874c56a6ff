#pragma once
// One I/O thread: an epoll loop that tells watchers of sockets that became ready, runs tasks which
// other threads post, and a few timers. Sockets are watched by edges, so a request costs no
// epoll_ctl(2) and a round over all that is ready one epoll_wait(2).

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "env/clock.h"
#include "env/executor.h"
#include "env/real/file_descriptor.h"

namespace headrace::env::real {

// Post, Stop and IsCurrent from any thread, the rest on the loop's thread only. May outlive Stop:
// everything is a no-op then.
class IoLoop {
 public:
  // Told on the loop's thread.
  class Watcher {
   public:
    // `events` as epoll_wait(2) gives them: what became true since the last call, and what else is.
    virtual void OnReady(uint32_t events) = 0;
    // What it put off (PutOff) is due.
    virtual void OnDue() {}

   protected:
    ~Watcher() = default;
  };

  static constexpr std::chrono::microseconds kPutOffMax{50};

  // Errors: kIoError (no descriptor left).
  static base::Result<std::shared_ptr<IoLoop>> Start(Clock& clock, std::string thread_name);
  ~IoLoop();
  IoLoop(const IoLoop&) = delete;
  IoLoop& operator=(const IoLoop&) = delete;

  // Runs `task` on the loop's thread; drops it once stopped.
  void Post(Task task);
  // Ends the thread; tasks that have not run are dropped. From outside the loop.
  void Stop();
  bool IsCurrent() const { return thread_.get_id() == std::this_thread::get_id(); }

  // From here on `watcher` is told of `fd`'s edges (readable, writable, broken), at once of those
  // that are true now. Until Forget, which comes before `fd` is closed.
  base::Result<void> Watch(int fd, Watcher& watcher);
  void Forget(int fd);
  // Behind whatever is ready now.
  void Soon(Task task);
  // `watcher` is called behind what this round still has to do, but no later than kPutOffMax, and
  // what is being done then, after the first that was put off: a peer that is woken by the first
  // answer finds those to others as well, and need not be woken for each.
  void PutOff(std::shared_ptr<Watcher> watcher);
  // Before work that lasts.
  void DoWhatIsDue();
  void After(std::chrono::nanoseconds span, Task task);
  // When the loop last woke: what a round's limits in seconds need.
  MonotonicTime now() const { return now_; }
  // The thread's one buffer, of at least `size` bytes, until the next call.
  std::span<uint8_t> ReadBuffer(size_t size);
  // Not to sleep for `span` from now on, since more is likely to come at once: to be woken takes 30
  // to 80 us on a virtual machine. Gives the CPU to whoever else wants it.
  void LookOut(std::chrono::nanoseconds span);

 private:
  struct Watched {
    Watcher* watcher = nullptr;
    uint32_t generation = 0;  // an edge of a descriptor's life before this one is not told
  };

  IoLoop(Clock& clock, FileDescriptor epoll, FileDescriptor wake);
  void Run();
  // Whether there were any.
  bool RunTasks();
  void RunTimers();
  int FallAsleep();
  void WakeUp();
  void WakeIfAsleep();  // with mutex_ held
  void Tell(uint64_t tag, uint32_t events);

  Clock& clock_;
  FileDescriptor epoll_;
  FileDescriptor wake_;  // an eventfd; never read, as each write is an edge
  std::thread thread_;

  std::mutex mutex_;
  std::vector<Task> tasks_;           // under mutex_
  bool sleeping_ = false;             // under mutex_: who posts must wake
  std::atomic<bool> stopped_{false};  // set under mutex_

  // On the thread only.
  std::vector<Watched> watched_;  // by descriptor
  std::vector<Task> soon_;
  std::vector<std::shared_ptr<Watcher>> put_off_;
  MonotonicTime put_off_at_{0};  // the first of them
  std::multimap<MonotonicTime, Task> timers_;
  std::vector<uint8_t> read_buffer_;
  MonotonicTime now_{0};
  MonotonicTime looks_out_until_{0};
};

}  // namespace headrace::env::real
