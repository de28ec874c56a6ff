#include "ingest/flight/put_acknowledger.h"

#include <arrow/buffer.h>
#include <arrow/flight/server.h>

#include "base/result.h"
#include "ingest/flight/batch_metadata.h"

namespace headrace::ingest {

PutAcknowledger::PutAcknowledger(std::unique_ptr<env::Executor> executor,
                                 arrow::flight::FlightMetadataWriter& writer,
                                 std::shared_ptr<PutWindow> window)
    : writer_(&writer), window_(std::move(window)), executor_(std::move(executor)) {}

void PutAcknowledger::Greet(std::string json) {
  executor_->Post([this, json = std::move(json)] { Send(json); });
}

void PutAcknowledger::Acknowledge(std::string json, uint64_t bytes) {
  executor_->Post([this, json = std::move(json), bytes] {
    if (Send(json)) window_->Leave(bytes);
  });
}

void PutAcknowledger::Refuse(const base::Error& error) {
  executor_->Post([this, error] {
    Send(WriteRefusal(error));
    window_->Fail(error);  // ends the call: only when the client has been told
  });
}

bool PutAcknowledger::Send(const std::string& json) {
  const std::lock_guard lock(mutex_);
  if (writer_ == nullptr) return false;
  const arrow::Status status = writer_->WriteMetadata(*arrow::Buffer::FromString(json));
  if (status.ok()) return true;
  window_->Fail(
      base::Error(base::ErrorCode::kUnavailable, "the client is gone: " + status.message()));
  return false;
}

void PutAcknowledger::Close() {
  const std::lock_guard lock(mutex_);
  writer_ = nullptr;
}

}  // namespace headrace::ingest
