#include "env/real/executor.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>

#include "base/result.h"
#include "env/busy_polling.h"
#include "env/real/thread_priority.h"

namespace headrace::env::real {
namespace {

constexpr size_t kThreadNameMax = 15;  // the kernel's limit
constexpr MonotonicTime kLookOut = std::chrono::microseconds(100);

}  // namespace

ThreadExecutor::ThreadExecutor(const Clock& clock, std::string name, Priority priority)
    : clock_(clock),
      priority_(priority),
      thread_([this, name = std::move(name), priority] { Run(name, priority); }) {}

ThreadExecutor::~ThreadExecutor() {
  HR_CHECK(std::this_thread::get_id() != thread_.get_id(), "an executor destroyed by its own task");
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void ThreadExecutor::Post(Task task) {
  bool was_empty = false;
  {
    const std::lock_guard lock(mutex_);
    was_empty = posted_.empty();
    posted_.push_back(std::move(task));
    has_posted_.store(true, std::memory_order_release);
  }
  if (was_empty) wake_.notify_one();
}

void ThreadExecutor::PostAt(MonotonicTime time, Task task) {
  bool is_next = false;
  {
    const std::lock_guard lock(mutex_);
    const auto timer = timers_.emplace(time, std::move(task));
    is_next = timer == timers_.begin();
  }
  if (is_next) wake_.notify_one();  // else the thread sleeps until an earlier one
}

void ThreadExecutor::CollectDueTimers() {
  if (timers_.empty()) return;
  const MonotonicTime now = clock_.Now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    posted_.push_back(std::move(timers_.begin()->second));
    timers_.erase(timers_.begin());
  }
}

void ThreadExecutor::LookOut(std::unique_lock<std::mutex>& lock) {
  if (priority_ != Priority::kEager || stopping_ || !posted_.empty()) return;
  MonotonicTime end = clock_.Now() + std::max<MonotonicTime>(kLookOut, BusyPolling());
  if (!timers_.empty()) end = std::min(end, timers_.begin()->first);
  lock.unlock();
  while (!has_posted_.load(std::memory_order_acquire) && clock_.Now() < end) sched_yield();
  lock.lock();
}

bool ThreadExecutor::WaitForWork(std::unique_lock<std::mutex>& lock) {
  LookOut(lock);
  while (true) {
    CollectDueTimers();
    if (!posted_.empty()) return true;
    if (stopping_) return false;
    if (timers_.empty()) {
      wake_.wait(lock);
    } else {
      wake_.wait_for(lock, timers_.begin()->first - clock_.Now());
    }
  }
}

void ThreadExecutor::Run(const std::string& name, Priority priority) {
  pthread_setname_np(pthread_self(), name.substr(0, kThreadNameMax).c_str());
  SetThreadPriority(priority);
  std::vector<Task> batch;
  std::unique_lock lock(mutex_);
  while (WaitForWork(lock)) {
    batch.swap(posted_);
    has_posted_.store(false, std::memory_order_relaxed);
    lock.unlock();
    for (Task& task : batch) {
      task();
      task = nullptr;  // what it holds is freed before the next one runs
    }
    batch.clear();
    lock.lock();
  }
}

}  // namespace headrace::env::real
