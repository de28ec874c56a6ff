#include "env/real/thread_priority.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace headrace::env::real {
namespace {

constexpr int kBackgroundNice = 10;
constexpr uint64_t kShortSliceNs = 200'000;

// The kernel's struct sched_attr, first version (sched_setattr(2)); glibc 2.36 has no name for it.
struct SchedulingAttributes {
  uint32_t size = sizeof(SchedulingAttributes);
  uint32_t policy = 0;  // SCHED_OTHER
  uint64_t flags = 0;
  int32_t nice = 0;
  uint32_t realtime_priority = 0;
  uint64_t runtime_ns = 0;  // of SCHED_OTHER: the slice that is asked for
  uint64_t deadline_ns = 0;
  uint64_t period_ns = 0;
};

}  // namespace

void SetThreadPriority(Priority priority) {
  if (priority == Priority::kBackground) {
    // On Linux the nice value belongs to the thread.
    (void)setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kBackgroundNice);
    return;
  }
  SchedulingAttributes attributes;
  attributes.nice = getpriority(PRIO_PROCESS, static_cast<id_t>(gettid()));
  attributes.runtime_ns = kShortSliceNs;
  (void)syscall(SYS_sched_setattr, 0, &attributes, 0U);
}

}  // namespace headrace::env::real
