// 1. The command says what is wanted; the schema of what comes must fit it.
// 2. The client gets the schema of what it will get, before its first batch.
// 3. Batch by batch: read, answer, write.
#include "ingest/flight/exchange_stream.h"

#include <arrow/buffer.h>
#include <arrow/flight/server.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/byte_size.h>
#include <fmt/core.h>

#include <string_view>
#include <utility>

#include "ingest/flight/inflated_messages.h"

namespace headrace::ingest {
namespace {

using base::Error;
using base::ErrorCode;
using base::Fail;

constexpr uint64_t kFirstMessageBytes = 256U << 10;  // of a call that has sent none yet

std::string_view TextOf(const std::shared_ptr<arrow::Buffer>& buffer) {
  if (buffer == nullptr) return {};
  return {reinterpret_cast<const char*>(buffer->data()), static_cast<size_t>(buffer->size())};
}

// The client's connection, not what it said.
std::unexpected<Error> Broken(const arrow::Status& status) {
  return Fail(Error(ErrorCode::kUnavailable, status.message()));
}

}  // namespace

base::Result<void> ExchangeStream::Run(const FlightCaller& caller) {
  const InflatedMessages inflated(budget_);
  HR_TRY_VOID(ChargeMessages(kFirstMessageBytes));
  if (reader_.descriptor().type != arrow::flight::FlightDescriptor::CMD)
    return Fail(ErrorCode::kInvalidInput,
                "the descriptor must be a command: a JSON document that says what is asked for");
  const auto schema = reader_.GetSchema();
  if (!schema.ok()) return Fail(Error(ErrorCode::kInvalidInput, schema.status().message()));
  HR_TRY(const auto exchange, exchanges_.Open(reader_.descriptor().cmd, **schema, caller));
  if (const auto begun = writer_.Begin(exchange->schema()); !begun.ok()) return Broken(begun);
  while (!caller.IsGone()) {
    const auto chunk = reader_.Next();
    if (chunk.status().IsOutOfMemory())
      return Fail(Error(ErrorCode::kResourceExhausted, chunk.status().message()));
    if (!chunk.ok()) return Fail(Error(ErrorCode::kInvalidInput, chunk.status().message()));
    if (chunk->data == nullptr && chunk->app_metadata == nullptr) return {};
    if (chunk->data == nullptr)
      return Fail(ErrorCode::kInvalidInput,
                  "app_metadata came without a record batch: send both together");
    const auto rows = static_cast<uint64_t>(chunk->data->num_rows());
    if (rows > exchange->rows_max())
      return Fail(ErrorCode::kInvalidInput,
                  fmt::format("a batch of {} rows is over {}: send smaller batches", rows,
                              exchange->rows_max()));
    if (caller.IsGone()) break;
    HR_TRY_VOID(ChargeMessages(static_cast<uint64_t>(arrow::util::TotalBufferSize(*chunk->data))));
    HR_TRY(const FlightBatch reply, exchange->Answer(*chunk->data, TextOf(chunk->app_metadata)));
    const auto written =
        writer_.WriteWithMetadata(*reply.rows, arrow::Buffer::FromString(reply.metadata));
    if (!written.ok()) return Broken(written);
  }
  return Fail(ErrorCode::kUnavailable, "the call was broken off: repeat what was not answered");
}

base::Result<void> ExchangeStream::ChargeMessages(uint64_t message_bytes) {
  if (2 * message_bytes <= messages_.bytes()) return {};
  messages_.Release();
  HR_TRY(messages_, budget_.TryCharge(base::MemoryAccount::kArrow, 2 * message_bytes));
  return {};
}

}  // namespace headrace::ingest
