#include "flight_scanner.h"

#include <arrow/flight/client.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>

#include <charconv>

#include "flight_connection.h"

namespace headrace::app {

namespace flight = arrow::flight;
using base::ErrorCode;
using base::Fail;

struct FlightScanner::Impl {
  Address address;
  std::unique_ptr<flight::FlightClient> client;
  std::unique_ptr<flight::FlightStreamReader> reader;
  std::shared_ptr<arrow::Schema> schema;
  std::string summary;
};

base::Result<std::unique_ptr<FlightScanner>> FlightScanner::Open(const Address& address,
                                                                 const std::string& ticket) {
  auto impl = std::make_unique<Impl>();
  impl->address = address;
  HR_TRY(impl->client, ConnectFlight(address));
  auto reader = impl->client->DoGet(FlightCall(), flight::Ticket{ticket});
  if (!reader.ok()) return Fail(FlightError(reader.status(), address));
  impl->reader = std::move(*reader);
  auto schema = impl->reader->GetSchema();
  if (!schema.ok()) return Fail(FlightError(schema.status(), address));
  impl->schema = std::move(*schema);
  return std::unique_ptr<FlightScanner>(new FlightScanner(std::move(impl)));
}

const std::shared_ptr<arrow::Schema>& FlightScanner::schema() const { return impl_->schema; }
void FlightScanner::Stop() { impl_->reader->Cancel(); }

uint64_t FlightScanner::epoch() const {
  const auto& metadata = impl_->schema->metadata();
  if (metadata == nullptr) return 0;
  const std::string text = metadata->Get("headrace.epoch").ValueOr("");
  uint64_t epoch = 0;
  std::from_chars(text.data(), text.data() + text.size(), epoch);
  return epoch;
}

const std::string& FlightScanner::summary() const { return impl_->summary; }

base::Result<std::shared_ptr<arrow::RecordBatch>> FlightScanner::Next() {
  while (true) {
    const auto chunk = impl_->reader->Next();
    if (!chunk.ok()) return Fail(FlightError(chunk.status(), impl_->address));
    if (chunk->app_metadata != nullptr) impl_->summary = chunk->app_metadata->ToString();
    if (chunk->data == nullptr && impl_->summary.empty())
      return Fail(ErrorCode::kUnavailable, "the server ended the scan before its end: begin again");
    if (chunk->data == nullptr || chunk->data->num_rows() > 0) return chunk->data;
  }
}

FlightScanner::FlightScanner(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FlightScanner::~FlightScanner() = default;

}  // namespace headrace::app
