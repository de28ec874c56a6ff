// headrace_steady_sender PORT PRODUCER ROWS_PER_S BATCH_ROWS CARDS
// Sends payments until SIGTERM, across restarts of the engine; see steady_sender.h.

#include <pthread.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "steady_sender.h"

namespace {

std::atomic<bool> stop_requested = false;

}  // namespace

int main(int count, char** arguments) {
  if (count != 6) {
    std::fputs("headrace_steady_sender PORT PRODUCER ROWS_PER_S BATCH_ROWS CARDS\n", stderr);
    return 2;
  }
  headrace::bench::Steady steady;
  steady.port = static_cast<uint16_t>(std::atoi(arguments[1]));
  steady.producer = arguments[2];
  steady.rows_per_s = std::atof(arguments[3]);
  steady.batch_rows = static_cast<size_t>(std::atoll(arguments[4]));
  steady.cards = static_cast<uint64_t>(std::atoll(arguments[5]));
  if (steady.port == 0 || steady.batch_rows == 0 || steady.cards == 0) return 2;
  std::signal(SIGTERM, [](int) { stop_requested = true; });
  std::signal(SIGPIPE, SIG_IGN);
  return headrace::bench::RunSteadySender(steady, stop_requested);
}
