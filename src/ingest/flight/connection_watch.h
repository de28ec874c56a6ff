#pragma once
// Holds the connections of the Flight port to a number, and to the memory budget. gRPC accepts
// whoever comes, before any token is shown, and gathers a message however large it is: its share of
// the process's open files and memory would end nowhere.

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "base/memory_budget.h"
#include "env/environment.h"
#include "env/port_connections.h"

namespace headrace::ingest {

struct ConnectionWatchOptions {
  uint16_t port = 0;
  size_t connections_max = 1024;
  // Ten times as long while half of the connections and of the memory budget is free.
  env::MonotonicTime look_every = std::chrono::milliseconds(10);
};

// Which connections have to go. Not thread-safe.
class ConnectionRules {
 public:
  explicit ConnectionRules(size_t connections_max) : connections_max_(connections_max) {}

  enum class Memory : uint8_t { kFits, kOver };
  // Of those that are open: what is over connections_max, first those that never spoke, then those
  // that have sent nothing for the longest time; of those that sent something within kMoment the
  // ones that have sent the least: a greeting is shorter than a call. With `memory` over the budget
  // also the one that sent the most since the last call, when that was more than kLargeBytes: what
  // it sends is a message that is gathered still.
  std::vector<env::PortConnection> Unwanted(std::span<const env::PortConnection> open,
                                            Memory memory);

  static constexpr uint64_t kLargeBytes = 256U << 10;
  static constexpr uint32_t kMoment = 500;  // ms: some looks, and calls that take their time

 private:
  const size_t connections_max_;
  std::map<uint64_t, uint64_t> received_;  // by cookie, at the last call
};

// Runs from Make to the destructor on its own executor, and takes at most a fiftieth of its time
// while memory is not short. Memory is short 5 % above the budget. Says in the log what it closed,
// once a minute. Clients of gRPC connect again by themselves.
class ConnectionWatch {
 public:
  // `environment` and `budget` outlive it.
  static std::unique_ptr<ConnectionWatch> Make(env::Environment& environment,
                                               const base::MemoryBudget& budget,
                                               const ConnectionWatchOptions& options);
  virtual ~ConnectionWatch() = default;
};

}  // namespace headrace::ingest
