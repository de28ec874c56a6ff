#pragma once
// One connection's DoPut, seen from the client: batches out, acknowledgements in.

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "commands.h"
#include "ingest/flight/batch_metadata.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace headrace::app {

// One thread sends, another may read acknowledgements meanwhile. Errors of a broken connection are
// kUnavailable: open a new sender and repeat what was not acknowledged.
class FlightSender {
 public:
  // Connects, opens the stream and waits for the greeting. Errors: those of the server (kNotFound,
  // kInvalidInput: the file's columns do not fit the stream ...), kUnavailable.
  static base::Result<std::unique_ptr<FlightSender>> Open(const Address& address,
                                                          const std::string& stream,
                                                          const std::string& producer,
                                                          const arrow::Schema& schema);
  ~FlightSender();

  const ingest::Greeting& greeting() const;
  // False when the connection is over; Close says why.
  bool Send(const arrow::RecordBatch& batch, uint64_t sequence);
  // The next acknowledgement, in the order of sending. kUnavailable at the end of the stream.
  base::Result<ingest::BatchAcknowledgement> ReadAcknowledgement();
  // No more batches; acknowledgements still come.
  void DoneSending();
  // How the call ended. When nobody reads acknowledgements any more.
  base::Result<void> Close();

 private:
  struct Impl;
  explicit FlightSender(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::app
