#include "env/busy_polling.h"

#include <atomic>

namespace headrace::env {
namespace {

std::atomic<int64_t> g_span_ns{0};

}  // namespace

void UseBusyPolling(std::chrono::nanoseconds span) {
  g_span_ns.store(span.count(), std::memory_order_relaxed);
}

std::chrono::nanoseconds BusyPolling() {
  return std::chrono::nanoseconds(g_span_ns.load(std::memory_order_relaxed));
}

}  // namespace headrace::env
