// A DoPut goes through four steps:
//   1. Open: the descriptor names the stream, the schema's metadata the producer; the schema must
//   fit the contract's;
//   2. greet: the client learns which of its batches are durable already;
//   3. for each batch, as long as the window has room: import, hold to the contract, submit; the
//   outcome is acknowledged when
//      the gate calls back;
//   4. the client is done: wait until everything is acknowledged.
// The first error ends the call. What was submitted may still become durable: the next greeting
// says so.

#include "ingest/flight/put_stream.h"

#include <arrow/buffer.h>
#include <arrow/flight/server.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>
#include <fmt/core.h>

#include "columns/arrow/arrow_bridge.h"
#include "ingest/flight/batch_metadata.h"
#include "ingest/flight/flight_status.h"
#include "ingest/flight/inflated_messages.h"
#include "ingest/reserved_producers.h"

namespace headrace::ingest {
namespace {

using base::Error;
using base::ErrorCode;
using base::Fail;

constexpr size_t kProducerBytesMax = 256;
constexpr uint64_t kFirstMessageBytes = 4U << 20;  // of a stream that has sent none yet

// Nothing when the schema has no such metadata.
std::optional<std::string> MetadataOf(const arrow::Schema& schema, std::string_view key) {
  const auto& metadata = schema.metadata();
  if (metadata == nullptr) return std::nullopt;
  const int index = metadata->FindKey(std::string(key));
  if (index < 0) return std::nullopt;
  return metadata->value(index);
}

std::string_view TextOf(const std::shared_ptr<arrow::Buffer>& buffer) {
  if (buffer == nullptr) return {};
  return {reinterpret_cast<const char*>(buffer->data()), static_cast<size_t>(buffer->size())};
}

}  // namespace

PutStream::PutStream(const FlightServerOptions& options, StreamGate& gate,
                     base::MemoryBudget& budget, std::shared_ptr<PutWindow> window,
                     std::shared_ptr<PutAcknowledger> acknowledger,
                     arrow::flight::FlightMessageReader& reader)
    : options_(options),
      gate_(gate),
      budget_(budget),
      window_(std::move(window)),
      acknowledger_(std::move(acknowledger)),
      reader_(reader) {}

base::Result<void> PutStream::Run() {
  const InflatedMessages inflated(budget_);
  HR_TRY_VOID(ChargeMessages(kFirstMessageBytes));
  HR_TRY_VOID(Open());
  while (window_->WaitForRoom()) {
    const auto chunk = reader_.Next();
    if (window_->error()) break;  // it failed while the client kept us waiting
    if (chunk.status().IsOutOfMemory())
      return Fail(Error(ErrorCode::kResourceExhausted, chunk.status().message()));
    if (!chunk.ok()) return Fail(Error(ErrorCode::kUnavailable, chunk.status().message()));
    if (chunk->data == nullptr && chunk->app_metadata == nullptr) {
      window_->WaitUntilEmpty();
      break;
    }
    if (chunk->data == nullptr)
      return Fail(ErrorCode::kInvalidInput,
                  "app_metadata came without a record batch: send both together");
    HR_TRY_VOID(Take(*chunk->data, TextOf(chunk->app_metadata)));
  }
  if (auto error = window_->error()) return Fail(std::move(*error));
  return {};
}

base::Result<void> PutStream::Open() {
  const arrow::flight::FlightDescriptor& descriptor = reader_.descriptor();
  if (descriptor.type != arrow::flight::FlightDescriptor::PATH || descriptor.path.size() != 1)
    return Fail(ErrorCode::kInvalidInput,
                "the descriptor must be a path with one element: the stream's name");
  HR_TRY(stream_, gate_.Find(descriptor.path.front()));
  const auto schema = reader_.GetSchema();
  if (!schema.ok()) return Fail(Error(ErrorCode::kInvalidInput, schema.status().message()));
  HR_TRY_VOID(CheckSchema(**schema));
  HR_TRY_VOID(ReadProducer(**schema));
  const uint64_t last = producer_.empty() ? 0 : gate_.LastSequence(stream_.id, producer_);
  acknowledger_->Greet(WriteGreeting({.log = gate_.LogName(),
                                      .stream = stream_.name,
                                      .last_sequence = last,
                                      .window = options_.window_batches}));
  return {};
}

// A schema that does not fit is refused before its first row: an empty batch of it says why.
base::Result<void> PutStream::CheckSchema(const arrow::Schema& schema) const {
  const auto shared = std::make_shared<arrow::Schema>(schema.fields());
  const auto empty = arrow::RecordBatch::MakeEmpty(shared);
  if (!empty.ok()) return Fail(Error(ErrorCode::kInvalidInput, empty.status().message()));
  auto imported = columns::FromArrow(**empty, stream_.contract->schema());
  if (imported) return {};
  const Error& error = imported.error();
  return Fail(
      Error(error.code(), fmt::format("stream {}: {}. GetFlightInfo gives the schema that it wants",
                                      stream_.name, error.message())));
}

base::Result<void> PutStream::ReadProducer(const arrow::Schema& schema) {
  producer_ = MetadataOf(schema, kProducerKey).value_or("");
  if (producer_.size() > kProducerBytesMax) {
    return Fail(ErrorCode::kInvalidInput,
                fmt::format("{} has {} bytes: give it at most {}", kProducerKey, producer_.size(),
                            kProducerBytesMax));
  }
  HR_TRY_VOID(CheckNotReserved(kProducerKey, producer_));
  const std::string atomic = MetadataOf(schema, kAtomicKey).value_or("false");
  if (atomic != "true" && atomic != "false")
    return Fail(ErrorCode::kInvalidInput,
                fmt::format("{} is `{}`: write true or false", kAtomicKey, atomic));
  atomicity_ = atomic == "true" ? columns::Atomicity::kAllOrNone : columns::Atomicity::kGoodRowsIn;
  return {};
}

base::Result<void> PutStream::Take(const arrow::RecordBatch& record, std::string_view metadata) {
  const auto rows = static_cast<uint64_t>(record.num_rows());
  if (rows > options_.batch_rows_max) {
    return Fail(ErrorCode::kInvalidInput,
                fmt::format("a batch of {} rows is over {}: send smaller batches", rows,
                            options_.batch_rows_max));
  }
  uint64_t sequence = 0;
  if (!producer_.empty()) {
    HR_TRY(sequence, ReadBatchMetadata(metadata));
  }
  // The contract may be another one by now.
  HR_TRY(stream_, gate_.Find(stream_.name));
  const columns::SchemaRef schema = stream_.contract->schema();
  // Before they are made: a batch may leave most columns out.
  HR_TRY(base::MemoryCharge charge, Charge(columns::BytesOfNulls(*schema, rows)));
  HR_TRY(columns::ColumnBatch imported, columns::FromArrow(record, schema));
  const uint64_t bytes = imported.ByteSize();
  HR_TRY_VOID(ChargeMessages(bytes));
  charge.Release();
  HR_TRY(charge, Charge(bytes));
  columns::EventBatch batch = stream_.contract->Enforce(std::move(imported));
  batch.stream = stream_.id;
  batch.source = {.producer = producer_, .sequence = sequence};
  batch.atomicity = atomicity_;
  Submit(std::move(batch), bytes, std::move(charge));
  return {};
}

base::Result<void> PutStream::ChargeMessages(uint64_t message_bytes) {
  if (2 * message_bytes <= messages_.bytes()) return {};
  messages_.Release();
  auto charge = budget_.TryCharge(base::MemoryAccount::kArrow, 2 * message_bytes);
  if (!charge) {
    window_->WaitUntilEmpty();
    charge = budget_.TryCharge(base::MemoryAccount::kArrow, 2 * message_bytes);
  }
  if (!charge) return Fail(std::move(charge).error());
  messages_ = std::move(*charge);
  return {};
}

// When the budget is used up, what this stream has under way is awaited once before giving up.
base::Result<base::MemoryCharge> PutStream::Charge(uint64_t bytes) {
  auto charge = budget_.TryCharge(base::MemoryAccount::kIngest, bytes);
  if (charge) return charge;
  window_->WaitUntilEmpty();
  return budget_.TryCharge(base::MemoryAccount::kIngest, bytes);
}

void PutStream::Submit(columns::EventBatch batch, uint64_t bytes, base::MemoryCharge charge) {
  window_->Enter(bytes);
  const uint64_t number = ++batches_;
  const uint64_t sequence = batch.source.sequence;
  gate_.Submit(std::move(batch), [acknowledger = acknowledger_, charge = std::move(charge), bytes,
                                  number, sequence, listed = options_.refused_listed_max](
                                     base::Result<IngestOutcome> outcome) mutable {
    charge.Release();
    if (!outcome) return acknowledger->Refuse(outcome.error());
    acknowledger->Acknowledge(WriteAcknowledgement(number, sequence, *outcome, listed), bytes);
  });
}

}  // namespace headrace::ingest
