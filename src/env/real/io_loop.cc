#include "env/real/io_loop.h"

#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <limits>

#include "base/log.h"
#include "env/busy_polling.h"
#include "env/real/thread_priority.h"

namespace headrace::env::real {
namespace {

constexpr size_t kEventsPerWait = 128;
constexpr uint32_t kEdges = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
constexpr uint64_t kWakeTag = std::numeric_limits<uint64_t>::max();
constexpr int kGenerationShift = 32;

uint64_t TagOf(int fd, uint32_t generation) {
  return uint64_t{generation} << kGenerationShift | static_cast<uint32_t>(fd);
}

}  // namespace

base::Result<std::shared_ptr<IoLoop>> IoLoop::Start(Clock& clock, std::string thread_name) {
  FileDescriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (epoll.get() < 0) return base::Fail(SystemError("epoll_create1", thread_name, errno));
  FileDescriptor wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (wake.get() < 0) return base::Fail(SystemError("eventfd", thread_name, errno));
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.u64 = kWakeTag}};
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0)
    return base::Fail(SystemError("epoll_ctl", thread_name, errno));
  std::shared_ptr<IoLoop> loop(new IoLoop(clock, std::move(epoll), std::move(wake)));
  loop->thread_ = std::thread([raw = loop.get(), name = std::move(thread_name)] {
    pthread_setname_np(pthread_self(), name.c_str());
    SetThreadPriority(Priority::kRealTime);
    raw->Run();
  });
  return loop;
}

IoLoop::IoLoop(Clock& clock, FileDescriptor epoll, FileDescriptor wake)
    : clock_(clock), epoll_(std::move(epoll)), wake_(std::move(wake)), now_(clock.Now()) {}

IoLoop::~IoLoop() { Stop(); }

void IoLoop::Stop() {
  if (!thread_.joinable()) return;
  HR_CHECK(!IsCurrent(), "a loop is stopped from outside");
  {
    const std::lock_guard lock(mutex_);
    stopped_.store(true, std::memory_order_release);
    WakeIfAsleep();
  }
  thread_.join();
  // Destroyed, not run: they may hold connections, which hold this.
  std::exchange(tasks_, {}).clear();
  std::exchange(soon_, {}).clear();
  std::exchange(put_off_, {}).clear();
  std::exchange(timers_, {}).clear();
}

void IoLoop::Post(Task task) {
  const std::lock_guard lock(mutex_);
  if (stopped_.load(std::memory_order_relaxed)) return;
  tasks_.push_back(std::move(task));
  WakeIfAsleep();
}

void IoLoop::WakeIfAsleep() {
  if (!std::exchange(sleeping_, false)) return;
  const uint64_t one = 1;
  // It fails only when the counter is full: the edge is there then.
  const ssize_t written = ::write(wake_.get(), &one, sizeof(one));
  HR_CHECK(written == sizeof(one) || errno == EAGAIN, "an eventfd takes no write");
}

base::Result<void> IoLoop::Watch(int fd, Watcher& watcher) {
  const auto index = static_cast<size_t>(fd);
  if (index >= watched_.size()) watched_.resize(index + 1);
  Watched& watched = watched_[index];
  watched.watcher = &watcher;
  epoll_event event{.events = kEdges, .data = {.u64 = TagOf(fd, ++watched.generation)}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
  const int number = errno;
  watched.watcher = nullptr;
  return base::Fail(SystemError("epoll_ctl", "a socket", number));
}

// Closing the descriptor takes it out of the epoll set: no copy of it is ever made.
void IoLoop::Forget(int fd) {
  const auto index = static_cast<size_t>(fd);
  if (index < watched_.size()) watched_[index].watcher = nullptr;
}

void IoLoop::Soon(Task task) { soon_.push_back(std::move(task)); }

void IoLoop::PutOff(std::shared_ptr<Watcher> watcher) {
  if (put_off_.empty()) put_off_at_ = clock_.Now();
  put_off_.push_back(std::move(watcher));
}

void IoLoop::DoWhatIsDue() {
  while (!put_off_.empty())
    for (const auto& watcher : std::exchange(put_off_, {})) watcher->OnDue();
}

void IoLoop::After(std::chrono::nanoseconds span, Task task) {
  timers_.emplace(clock_.Now() + span, std::move(task));
}

std::span<uint8_t> IoLoop::ReadBuffer(size_t size) {
  if (read_buffer_.size() < size) read_buffer_.resize(size);
  return {read_buffer_.data(), size};
}

void IoLoop::LookOut(std::chrono::nanoseconds span) {
  if (span.count() > 0) looks_out_until_ = std::max(looks_out_until_, clock_.Now() + span);
}

void IoLoop::Run() {
  const std::chrono::nanoseconds always = BusyPolling();
  std::array<epoll_event, kEventsPerWait> events;
  while (!stopped_.load(std::memory_order_acquire)) {
    const bool ran = RunTasks();
    RunTimers();
    DoWhatIsDue();
    if (ran) LookOut(always);
    const bool looks_out = clock_.Now() < looks_out_until_;
    const int timeout_ms = looks_out || !soon_.empty() ? 0 : FallAsleep();
    const int count =
        ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
    if (timeout_ms != 0) WakeUp();
    now_ = clock_.Now();
    for (int i = 0; i < count; ++i) {
      Tell(events[i].data.u64, events[i].events);
      if (!put_off_.empty() && clock_.Now() - put_off_at_ >= kPutOffMax) DoWhatIsDue();
    }
    DoWhatIsDue();
    if (count > 0)
      LookOut(always);
    else if (looks_out)
      sched_yield();
  }
}

bool IoLoop::RunTasks() {
  std::vector<Task> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (Task& task : tasks) task();
  std::vector<Task> soon = std::exchange(soon_, {});
  for (Task& task : soon) task();
  return !tasks.empty() || !soon.empty();
}

void IoLoop::RunTimers() {
  while (!timers_.empty() && timers_.begin()->first <= now_) {
    Task task = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    task();
  }
}

// How long epoll_wait may sleep, in its milliseconds: not at all when there is something to do.
int IoLoop::FallAsleep() {
  constexpr int kForever = -1;
  const std::lock_guard lock(mutex_);
  if (!tasks_.empty() || stopped_.load(std::memory_order_relaxed)) return 0;
  sleeping_ = true;
  if (timers_.empty()) return kForever;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first - now_);
  return std::max(1, static_cast<int>(left.count()));
}

void IoLoop::WakeUp() {
  const std::lock_guard lock(mutex_);
  sleeping_ = false;
}

void IoLoop::Tell(uint64_t tag, uint32_t events) {
  if (tag == kWakeTag) return;
  const auto index = static_cast<size_t>(static_cast<uint32_t>(tag));
  if (index >= watched_.size()) return;
  const Watched& watched = watched_[index];
  if (watched.watcher != nullptr && watched.generation == tag >> kGenerationShift)
    watched.watcher->OnReady(events);
}

}  // namespace headrace::env::real
