// The load generator of ./dev bench log: producers in a closed loop against one target.
//
// headrace_log_load TARGET WHERE PRODUCERS EVENT_BYTES BATCH_EVENTS WARM_UP_S SECONDS
//   http | flight | resp     WHERE is the engine's port
//   redis | redis-multi      WHERE is Redis's port; a batch is pipelined, or one transaction
//   frames                   WHERE is the port of `server`
//   disk                     WHERE is a folder: no server at all
// headrace_log_load server FOLDER
//
// Prints one JSON line: batches, events_per_s, p50_ms, p99_ms, worst_ms (a batch's time, from the
// begin of its sending to its acknowledgement). Any refusal or lost connection ends it with exit 1.

#include <sys/prctl.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "disk_sync.h"
#include "flight_put.h"
#include "load.h"
#include "socket_loop.h"
#include "sync_server.h"

namespace headrace::bench {
namespace {

std::unique_ptr<Wire> MakePipelined(const Load& load, int producer) {
  return MakeRedisWire(load, producer, RedisBatch::kPipelined);
}
std::unique_ptr<Wire> MakeTransaction(const Load& load, int producer) {
  return MakeRedisWire(load, producer, RedisBatch::kTransaction);
}

int Usage() {
  std::fputs(
      "headrace_log_load http|flight|resp|redis|redis-multi|frames|disk WHERE PRODUCERS "
      "EVENT_BYTES "
      "BATCH_EVENTS WARM_UP_S SECONDS\nheadrace_log_load server FOLDER\n",
      stderr);
  return 2;
}

Outcome Run(const Load& load, std::string_view target, const char* where) {
  const auto port = static_cast<uint16_t>(std::atoi(where));
  if (target == "http") return RunSocketLoop(load, port, MakeHttpWire);
  if (target == "flight") return RunFlightPut(load, port);
  if (target == "resp") return RunSocketLoop(load, port, MakePushWire);
  if (target == "redis") return RunSocketLoop(load, port, MakePipelined);
  if (target == "redis-multi") return RunSocketLoop(load, port, MakeTransaction);
  if (target == "frames") return RunSocketLoop(load, port, MakeFramesWire);
  if (target == "disk") return RunDiskSync(load, where);
  Outcome unknown(load);
  unknown.Failed("no target " + std::string(target));
  return unknown;
}

int Main(int count, char** arguments) {
  constexpr size_t kJsonBytesMin = 64;
  if (count == 3 && std::string_view(arguments[1]) == "server") return RunSyncServer(arguments[2]);
  if (count != 8) return Usage();
  Load load;
  load.producers = std::atoi(arguments[3]);
  load.event_bytes = static_cast<size_t>(std::atoll(arguments[4]));
  load.batch_events = static_cast<size_t>(std::atoll(arguments[5]));
  load.warm_up = std::chrono::duration<double>(std::atof(arguments[6]));
  load.measured = std::chrono::duration<double>(std::atof(arguments[7]));
  if (load.producers < 1 || load.event_bytes < kJsonBytesMin || load.batch_events < 1 ||
      load.measured.count() <= 0)
    return Usage();
  prctl(PR_SET_TIMERSLACK, 1);
  return Run(load, arguments[1], arguments[2]).Print(load, stdout) ? 0 : 1;
}

}  // namespace
}  // namespace headrace::bench

int main(int count, char** arguments) { return headrace::bench::Main(count, arguments); }
