#pragma once
// Writes the server's side of one DoPut, in order, on an executor of its own: gRPC blocks a writer
// whose client does not read, and neither the gate's thread nor the call's reader may wait for
// that.

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "env/executor.h"
#include "ingest/flight/put_window.h"

namespace arrow::flight {
class FlightMetadataWriter;
}

namespace headrace::ingest {

// Thread-safe. Shared with the callbacks of batches under way, so it may outlive the call; after
// Close it drops what it is given.
class PutAcknowledger {
 public:
  // `writer` must live until Close.
  PutAcknowledger(std::unique_ptr<env::Executor> executor,
                  arrow::flight::FlightMetadataWriter& writer, std::shared_ptr<PutWindow> window);

  void Greet(std::string json);
  // Sends, then lets a batch of `bytes` leave the window. A client that is gone fails the window.
  void Acknowledge(std::string json, uint64_t bytes);
  // Tells the client why the stream ends (it may be waiting, and read nothing else), then fails the
  // window.
  void Refuse(const base::Error& error);
  // Returns when nothing is being written; nothing is afterwards.
  void Close();

 private:
  bool Send(const std::string& json);

  std::mutex mutex_;  // held while writing
  arrow::flight::FlightMetadataWriter* writer_;
  const std::shared_ptr<PutWindow> window_;
  const std::unique_ptr<env::Executor>
      executor_;  // last: its destructor runs tasks that use the others
};

}  // namespace headrace::ingest
