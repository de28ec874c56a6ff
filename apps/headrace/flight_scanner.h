#pragma once
// One DoGet, seen from the client: batches of rows in.

#include <memory>
#include <string>

#include "base/result.h"
#include "commands.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace headrace::app {

// One thread. Errors are the server's; kUnavailable: begin again.
class FlightScanner {
 public:
  static base::Result<std::unique_ptr<FlightScanner>> Open(const Address& address,
                                                           const std::string& ticket);
  ~FlightScanner();

  const std::shared_ptr<arrow::Schema>& schema() const;
  uint64_t epoch() const;  // whose rows they are, by the schema; 0: it does not say
  // The next rows; null when all were there, which the server says with a summary. A stream that
  // ends without one is kUnavailable.
  base::Result<std::shared_ptr<arrow::RecordBatch>> Next();
  // Gives up the rest: nothing is asked of it any more.
  void Stop();
  // What the server said of the scan: JSON. After the last batch.
  const std::string& summary() const;

 private:
  struct Impl;
  explicit FlightScanner(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::app
