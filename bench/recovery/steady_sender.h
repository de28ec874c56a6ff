#pragma once
// A producer over Arrow Flight that goes on whatever happens to the engine.
//
// 1. Batch n is due at start + n * rows / rate, whatever became of the ones before it.
// 2. When the connection is lost it is made anew, as often as needed; the greeting says which batch
//    was the last durable one, and the next one follows it.
// 3. Batches that became due meanwhile are sent as fast as they are taken.
//
// Every acknowledgement is a line on standard output: `ack NUMBER EPOCH MICROSECONDS`, the time
// since the batch was due; a lost connection is `lost`, a new one `connected LAST_DURABLE_NUMBER`.

#include <atomic>
#include <cstdint>
#include <string>

namespace headrace::bench {

struct Steady {
  uint16_t port = 0;
  std::string stream = "payments";
  std::string producer = "steady";
  double rows_per_s = 100'000;  // 0: as fast as it goes
  size_t batch_rows = 1000;
  uint64_t cards = 1'000'000;
  size_t window = 32;  // batches under way at the most
};

// Runs until `stop`; then what is under way is awaited. Returns the exit code: 1 when a batch was
// refused.
int RunSteadySender(const Steady& steady, const std::atomic<bool>& stop);

}  // namespace headrace::bench
