#include "env/environment.h"

#include <sys/random.h>

#include <cerrno>
#include <condition_variable>
#include <ctime>
#include <fstream>
#include <mutex>

#include "env/real/executor.h"
#include "env/real/files.h"

namespace headrace::env {
namespace {

std::chrono::nanoseconds ReadClock(clockid_t id) {
  timespec now{};
  HR_CHECK(clock_gettime(id, &now) == 0, "clock_gettime");
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

class SystemClock final : public Clock {
 public:
  // The boot-time clock goes on while a laptop sleeps, so that the log clock does not fall behind
  // the wall.
  MonotonicTime Now() const override { return ReadClock(CLOCK_BOOTTIME); }
  base::Timestamp Wall() const override {
    return {std::chrono::duration_cast<base::Duration>(ReadClock(CLOCK_REALTIME)).count()};
  }
};

class RealEnvironment final : public Environment {
 public:
  Clock& clock() override { return clock_; }
  Files& files() override { return *files_; }

  std::string BootId() override {
    std::string id;
    std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
    return id;
  }

  void Random(std::span<uint8_t> out) override {
    while (!out.empty()) {
      const ssize_t got = getrandom(out.data(), out.size(), 0);
      HR_CHECK(got > 0 || errno == EINTR, "getrandom");
      if (got > 0) out = out.subspan(static_cast<size_t>(got));
    }
  }

  std::unique_ptr<Executor> NewExecutor(const std::string& name, Priority priority) override {
    return std::make_unique<real::ThreadExecutor>(clock_, name, priority);
  }

  void CrashPoint(const char* /*name*/) override {}

  void Await(const std::function<void(std::function<void()>)>& begin) override {
    std::mutex mutex;
    std::condition_variable changed;
    bool finished = false;
    begin([&] {
      const std::lock_guard lock(mutex);
      finished = true;
      changed.notify_one();
    });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return finished; });
  }

 private:
  SystemClock clock_;
  std::unique_ptr<Files> files_ = real::MakeLocalFiles();
};

}  // namespace

std::unique_ptr<Environment> MakeRealEnvironment() { return std::make_unique<RealEnvironment>(); }

}  // namespace headrace::env
