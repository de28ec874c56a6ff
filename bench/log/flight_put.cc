#include "flight_put.h"

#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/array/builder_time.h>
#include <arrow/buffer.h>
#include <arrow/flight/client.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>
#include <unistd.h>

#include <charconv>
#include <memory>
#include <string>
#include <thread>

#include "event.h"

namespace headrace::bench {
namespace {

namespace flight = arrow::flight;

std::shared_ptr<arrow::Schema> EventSchema(int producer) {
  const std::string name = "load-" + std::to_string(getpid()) + "-" +
                           std::to_string(EventTimeUs()) + "-" + std::to_string(producer);
  return arrow::schema({arrow::field("id", arrow::int64(), false),
                        arrow::field("at", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), false),
                        arrow::field("body", arrow::utf8(), false)},
                       arrow::key_value_metadata({"headrace.producer"}, {name}));
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> MakeBatch(const Load& load, int producer) {
  const std::shared_ptr<arrow::Schema> schema = EventSchema(producer);
  arrow::Int64Builder ids;
  arrow::TimestampBuilder times(schema->field(1)->type(), arrow::default_memory_pool());
  arrow::StringBuilder texts;
  for (size_t i = 0; i < load.batch_events; ++i) {
    const uint64_t number = static_cast<uint64_t>(producer) * 1'000'000 + i;
    ARROW_RETURN_NOT_OK(ids.Append(static_cast<int64_t>(number)));
    ARROW_RETURN_NOT_OK(times.Append(EventTimeUs()));
    ARROW_RETURN_NOT_OK(texts.Append(EventText(ColumnTextBytes(load.event_bytes), number)));
  }
  ARROW_ASSIGN_OR_RAISE(auto id_column, ids.Finish());
  ARROW_ASSIGN_OR_RAISE(auto time_column, times.Finish());
  ARROW_ASSIGN_OR_RAISE(auto text_column, texts.Finish());
  return arrow::RecordBatch::Make(schema, static_cast<int64_t>(load.batch_events),
                                  {id_column, time_column, text_column});
}

// Whether an acknowledgement says that `events` were accepted.
bool Accepted(const std::string& acknowledgement, size_t events) {
  constexpr std::string_view kName = R"("accepted":)";
  const size_t at = acknowledgement.find(kName);
  if (at == std::string::npos) return false;
  size_t accepted = 0;
  const char* begin = acknowledgement.data() + at + kName.size();
  std::from_chars(begin, acknowledgement.data() + acknowledgement.size(), accepted);
  return accepted == events;
}

arrow::Status Produce(const Load& load, uint16_t port, int producer, Outcome& outcome) {
  ARROW_ASSIGN_OR_RAISE(const auto batch, MakeBatch(load, producer));
  ARROW_ASSIGN_OR_RAISE(const auto location, flight::Location::ForGrpcTcp("127.0.0.1", port));
  flight::FlightClientOptions options = flight::FlightClientOptions::Defaults();
  options.generic_options.emplace_back("grpc.use_local_subchannel_pool", 1);
  ARROW_ASSIGN_OR_RAISE(const auto client, flight::FlightClient::Connect(location, options));
  ARROW_ASSIGN_OR_RAISE(const auto call,
                        client->DoPut(flight::FlightDescriptor::Path({"events"}), batch->schema()));
  std::shared_ptr<arrow::Buffer> message;
  ARROW_RETURN_NOT_OK(call.reader->ReadMetadata(&message));  // the greeting
  for (uint64_t sequence = 1; !outcome.Ended(SteadyClock::now(), kBatchesOfEach); ++sequence) {
    auto metadata = arrow::Buffer::FromString(R"({"sequence":)" + std::to_string(sequence) + "}");
    const SteadyClock::time_point sent = SteadyClock::now();
    ARROW_RETURN_NOT_OK(call.writer->WriteWithMetadata(*batch, std::move(metadata)));
    ARROW_RETURN_NOT_OK(call.reader->ReadMetadata(&message));
    if (message == nullptr) break;  // Close says why
    if (!Accepted(message->ToString(), load.batch_events))
      return arrow::Status::Invalid("refused: ", message->ToString());
    outcome.Acknowledged(sent, SteadyClock::now());
  }
  ARROW_RETURN_NOT_OK(call.writer->DoneWriting());
  return call.writer->Close();
}

}  // namespace

Outcome RunFlightPut(const Load& load, uint16_t port) {
  Outcome whole(load);
  std::vector<Outcome> outcomes(static_cast<size_t>(load.producers), whole);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < load.producers; ++i)
      threads.emplace_back([&, i] {
        Outcome& outcome = outcomes[static_cast<size_t>(i)];
        const arrow::Status status = Produce(load, port, i, outcome);
        if (!status.ok()) outcome.Failed(status.ToString());
      });
  }
  for (const Outcome& outcome : outcomes) whole.Merge(outcome);
  return whole;
}

}  // namespace headrace::bench
