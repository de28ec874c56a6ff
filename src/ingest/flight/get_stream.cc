#include "ingest/flight/get_stream.h"

#include <arrow/flight/server.h>
#include <arrow/flight/types.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/options.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>

#include <utility>
#include <vector>

#include "columns/arrow/arrow_bridge.h"
#include "columns/batch_builder.h"
#include "ingest/flight/flight_status.h"

namespace headrace::ingest {
namespace {

namespace flight = arrow::flight;
using Payload = arrow::Result<flight::FlightPayload>;

std::shared_ptr<arrow::Schema> SchemaOf(const FlightRows& rows) {
  std::vector<std::string> keys;
  std::vector<std::string> values;
  for (auto& [key, value] : rows.metadata()) {
    keys.push_back(key);
    values.push_back(value);
  }
  return columns::ToArrowSchema(*rows.schema())
      ->WithMetadata(arrow::key_value_metadata(std::move(keys), std::move(values)));
}

class GetStream final : public flight::FlightDataStream {
 public:
  explicit GetStream(std::unique_ptr<FlightRows> rows)
      : rows_(std::move(rows)), schema_(SchemaOf(*rows_)), mapper_(*schema_) {}

  std::shared_ptr<arrow::Schema> schema() override { return schema_; }

  Payload GetSchemaPayload() override {
    flight::FlightPayload payload;
    ARROW_RETURN_NOT_OK(
        arrow::ipc::GetSchemaPayload(*schema_, options_, mapper_, &payload.ipc_message));
    return payload;
  }

  Payload Next() override {
    flight::FlightPayload payload;
    if (ended_) return payload;  // without a message: the end
    auto next = rows_->Next();
    if (!next) return ToFlightStatus(next.error());
    columns::ColumnBatch batch;
    if (*next) {
      batch = std::move(**next);
    } else {
      ended_ = true;
      batch = columns::BatchBuilder(rows_->schema()).Finish();
      payload.app_metadata = arrow::Buffer::FromString(rows_->Summary());
    }
    const auto rows = columns::ToArrow(batch);
    if (!rows) return ToFlightStatus(rows.error());
    ARROW_RETURN_NOT_OK(arrow::ipc::GetRecordBatchPayload(**rows, options_, &payload.ipc_message));
    return payload;
  }

 private:
  const std::unique_ptr<FlightRows> rows_;
  const std::shared_ptr<arrow::Schema> schema_;
  const arrow::ipc::IpcWriteOptions options_ = arrow::ipc::IpcWriteOptions::Defaults();
  const arrow::ipc::DictionaryFieldMapper mapper_;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<flight::FlightDataStream> MakeGetStream(std::unique_ptr<FlightRows> rows) {
  return std::make_unique<GetStream>(std::move(rows));
}

}  // namespace headrace::ingest
