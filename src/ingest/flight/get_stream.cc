#include "ingest/flight/get_stream.h"

#include <arrow/flight/server.h>
#include <arrow/flight/types.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/options.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <deque>
#include <utility>

#include "ingest/flight/flight_status.h"

namespace headrace::ingest {
namespace {

namespace flight = arrow::flight;
using Payload = arrow::Result<flight::FlightPayload>;

class GetStream final : public flight::FlightDataStream {
 public:
  explicit GetStream(std::unique_ptr<FlightRows> rows)
      : rows_(std::move(rows)), schema_(rows_->schema()), mapper_(*schema_) {}

  std::shared_ptr<arrow::Schema> schema() override { return schema_; }

  Payload GetSchemaPayload() override {
    flight::FlightPayload payload;
    ARROW_RETURN_NOT_OK(
        arrow::ipc::GetSchemaPayload(*schema_, options_, mapper_, &payload.ipc_message));
    return payload;
  }

  Payload Next() override {
    flight::FlightPayload payload;
    if (!waiting_.empty()) return TakeWaiting();
    if (ended_) return payload;  // without a message: the end
    auto next = rows_->Next();
    if (!next) return ToFlightStatus(next.error());
    if (!*next) {
      ended_ = true;
      ARROW_ASSIGN_OR_RAISE(auto rows, arrow::RecordBatch::MakeEmpty(schema_));
      next->emplace(FlightBatch{std::move(rows), rows_->Summary(), {}});
    }
    if (!(*next)->metadata.empty())
      payload.app_metadata = arrow::Buffer::FromString(std::move((*next)->metadata));
    charge_ = std::move((*next)->charge);
    ARROW_RETURN_NOT_OK(
        arrow::ipc::GetRecordBatchPayload(*(*next)->rows, options_, &payload.ipc_message));
    if (std::exchange(dictionaries_sent_, true)) return payload;
    ARROW_RETURN_NOT_OK(QueueDictionaries(*(*next)->rows));
    waiting_.push_back(std::move(payload));
    return TakeWaiting();
  }

 private:
  // All batches of a call have those of the first.
  arrow::Status QueueDictionaries(const arrow::RecordBatch& rows) {
    ARROW_ASSIGN_OR_RAISE(const auto dictionaries, arrow::ipc::CollectDictionaries(rows, mapper_));
    for (const auto& [id, dictionary] : dictionaries) {
      flight::FlightPayload& payload = waiting_.emplace_back();
      ARROW_RETURN_NOT_OK(
          arrow::ipc::GetDictionaryPayload(id, dictionary, options_, &payload.ipc_message));
    }
    return arrow::Status::OK();
  }
  flight::FlightPayload TakeWaiting() {
    flight::FlightPayload payload = std::move(waiting_.front());
    waiting_.pop_front();
    return payload;
  }

  const std::unique_ptr<FlightRows> rows_;
  const std::shared_ptr<arrow::Schema> schema_;
  const arrow::ipc::IpcWriteOptions options_ = arrow::ipc::IpcWriteOptions::Defaults();
  const arrow::ipc::DictionaryFieldMapper mapper_;
  base::MemoryCharge charge_;  // of the batch that leaves
  std::deque<flight::FlightPayload> waiting_;
  bool dictionaries_sent_ = false;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<flight::FlightDataStream> MakeGetStream(std::unique_ptr<FlightRows> rows) {
  return std::make_unique<GetStream>(std::move(rows));
}

}  // namespace headrace::ingest
