#include "flight_sender.h"

#include <arrow/flight/client.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>

#include <tuple>

#include "flight_connection.h"

namespace headrace::app {

namespace flight = arrow::flight;
using base::Error;
using base::ErrorCode;
using base::Fail;

struct FlightSender::Impl {
  std::unexpected<Error> FailWith(const arrow::Status& status) const {
    return Fail(FlightError(status, address));
  }

  Address address;
  std::unique_ptr<flight::FlightClient> client;
  flight::FlightClient::DoPutResult call;
  ingest::Greeting greeting;
  bool closed = false;
};

base::Result<std::unique_ptr<FlightSender>> FlightSender::Open(const Address& address,
                                                               const std::string& stream,
                                                               const std::string& producer,
                                                               const arrow::Schema& schema) {
  auto impl = std::make_unique<Impl>();
  impl->address = address;
  HR_TRY(impl->client, ConnectFlight(address));
  const auto named = schema.WithMetadata(
      arrow::key_value_metadata({std::string(ingest::kProducerKey)}, {producer}));
  auto call = impl->client->DoPut(FlightCall(), flight::FlightDescriptor::Path({stream}), named);
  if (!call.ok()) return impl->FailWith(call.status());
  impl->call = std::move(*call);

  auto sender = std::unique_ptr<FlightSender>(new FlightSender(std::move(impl)));
  std::shared_ptr<arrow::Buffer> message;
  const arrow::Status read = sender->impl_->call.reader->ReadMetadata(&message);
  if (!read.ok() || message == nullptr) {
    HR_TRY_VOID(sender->Close());  // the server's reason, most often
    return Fail(ErrorCode::kUnavailable, "the server closed the stream without a greeting");
  }
  HR_TRY(sender->impl_->greeting, ingest::ReadGreeting(message->ToString()));
  return sender;
}

const ingest::Greeting& FlightSender::greeting() const { return impl_->greeting; }

bool FlightSender::Send(const arrow::RecordBatch& batch, uint64_t sequence) {
  auto metadata = arrow::Buffer::FromString(ingest::WriteBatchMetadata(sequence));
  return impl_->call.writer->WriteWithMetadata(batch, std::move(metadata)).ok();
}

base::Result<ingest::BatchAcknowledgement> FlightSender::ReadAcknowledgement() {
  std::shared_ptr<arrow::Buffer> message;
  const arrow::Status status = impl_->call.reader->ReadMetadata(&message);
  if (!status.ok()) return impl_->FailWith(status);
  if (message == nullptr) return Fail(ErrorCode::kUnavailable, "the server ended the stream");
  return ingest::ReadAcknowledgement(message->ToString());
}

void FlightSender::DoneSending() { (void)impl_->call.writer->DoneWriting(); }

base::Result<void> FlightSender::Close() {
  if (impl_->closed) return {};
  impl_->closed = true;
  DoneSending();
  const arrow::Status status = impl_->call.writer->Close();
  if (!status.ok()) return impl_->FailWith(status);
  return {};
}

FlightSender::FlightSender(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FlightSender::~FlightSender() { std::ignore = Close(); }  // nobody is left to tell

}  // namespace headrace::app
