#pragma once
// The batches of one DoPut that are under way: read, but not yet acknowledged to the client. Bounds
// them, and remembers the first error. Thread-safe: the gRPC thread enters batches, the gate's
// thread and the acknowledging executor end them.

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>

#include "base/error.h"

namespace headrace::ingest {

class PutWindow {
 public:
  PutWindow(size_t batches_max, uint64_t bytes_max)
      : batches_max_(batches_max), bytes_max_(bytes_max) {}

  // Blocks until another batch may be read. False when the stream has failed.
  bool WaitForRoom();
  // Blocks until no batch is under way. False when the stream has failed.
  bool WaitUntilEmpty();
  // A batch of `bytes` is under way.
  void Enter(uint64_t bytes);
  // It is acknowledged.
  void Leave(uint64_t bytes);
  // The stream ends with this error; the first one counts. Wakes everybody.
  void Fail(base::Error error);
  // Nothing while all is well.
  std::optional<base::Error> error() const;

 private:
  const size_t batches_max_;
  const uint64_t bytes_max_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  size_t batches_ = 0;
  uint64_t bytes_ = 0;
  std::optional<base::Error> error_;
};

}  // namespace headrace::ingest
