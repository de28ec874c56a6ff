#include "flight_sender.h"

#include <arrow/flight/client.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>

#include <tuple>

#include "ingest/flight/flight_status.h"

namespace headrace::app {

namespace flight = arrow::flight;
using base::Error;
using base::ErrorCode;
using base::Fail;

struct FlightSender::Impl {
  std::unique_ptr<flight::FlightClient> client;
  flight::FlightClient::DoPutResult call;
  ingest::Greeting greeting;
  bool closed = false;
};

namespace {

// gRPC remembers per process that a server was away, and waits longer each time; we have a back-off
// of our own.
flight::FlightClientOptions ClientOptions() {
  flight::FlightClientOptions options = flight::FlightClientOptions::Defaults();
  options.generic_options.emplace_back("grpc.use_local_subchannel_pool", 1);
  options.generic_options.emplace_back("grpc.initial_reconnect_backoff_ms", 50);
  options.generic_options.emplace_back("grpc.max_reconnect_backoff_ms", 500);
  return options;
}

flight::FlightCallOptions CallOptions() {
  flight::FlightCallOptions options;
  const std::string token = TokenOfEnvironment();
  if (!token.empty()) options.headers.emplace_back("authorization", "Bearer " + token);
  return options;
}

std::unexpected<Error> FailWith(const arrow::Status& status) {
  return Fail(ingest::FromFlightStatus(status));
}

}  // namespace

base::Result<std::unique_ptr<FlightSender>> FlightSender::Open(const Address& address,
                                                               const std::string& stream,
                                                               const std::string& producer,
                                                               const arrow::Schema& schema) {
  auto impl = std::make_unique<Impl>();
  const auto location = flight::Location::ForGrpcTcp(address.host, address.port);
  if (!location.ok()) return Fail(ErrorCode::kInvalidInput, location.status().message());
  auto client = flight::FlightClient::Connect(*location, ClientOptions());
  if (!client.ok()) return FailWith(client.status());
  impl->client = std::move(*client);
  const auto named = schema.WithMetadata(
      arrow::key_value_metadata({std::string(ingest::kProducerKey)}, {producer}));
  auto call = impl->client->DoPut(CallOptions(), flight::FlightDescriptor::Path({stream}), named);
  if (!call.ok()) return FailWith(call.status());
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
  if (!status.ok()) return FailWith(status);
  if (message == nullptr) return Fail(ErrorCode::kUnavailable, "the server ended the stream");
  return ingest::ReadAcknowledgement(message->ToString());
}

void FlightSender::DoneSending() { (void)impl_->call.writer->DoneWriting(); }

base::Result<void> FlightSender::Close() {
  if (impl_->closed) return {};
  impl_->closed = true;
  DoneSending();
  const arrow::Status status = impl_->call.writer->Close();
  if (!status.ok()) return FailWith(status);
  return {};
}

FlightSender::FlightSender(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FlightSender::~FlightSender() { std::ignore = Close(); }  // nobody is left to tell

}  // namespace headrace::app
