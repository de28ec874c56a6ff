#pragma once
// Push and get over Flight (docs/concepts/push-and-get.md): a batch of events in, a row for each of
// them out, with its service's features.

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/memory_budget.h"
#include "base/result.h"
#include "env/environment.h"
#include "ingest/flight/flight_reads.h"
#include "ingest/stream_gate.h"
#include "serving/flight/feature_batch.h"
#include "serving/push/push.h"

namespace headrace::serving {

// What pushes over Flight need; all outlive them.
struct FlightPushSources {
  PushService* pushes = nullptr;
  AnswerService* answers = nullptr;
  ingest::StreamGate* gate = nullptr;
  env::Environment* environment = nullptr;
  base::MemoryBudget* budget = nullptr;
};

// One call, on its own thread. Each event of a batch is a push of its own: they are under way
// together, and the batch is answered when all of them are.
class PushExchange final : public ingest::FlightExchange {
 public:
  static constexpr size_t kRowsMax = 1024;  // events of a batch

  // `command`: {"push":"payments","service":"scoring","deadline_ms":n,"at_deadline":"defaults",
  // "refused":"answered"}. `schema` has the stream's columns; others are `input.NAME` (a key or an
  // input that the event lacks) and `idempotency_key`. Errors: kInvalidInput, kNotFound,
  // kUnauthorized.
  static base::Result<std::unique_ptr<PushExchange>> Open(const FlightPushSources& sources,
                                                          std::string_view command,
                                                          const arrow::Schema& schema,
                                                          const ingest::FlightCaller& caller);

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  size_t rows_max() const override { return kRowsMax; }
  // Errors: those of the batch as a whole, before anything is taken in. What becomes of one event
  // stands in its row.
  base::Result<ingest::FlightBatch> Answer(const arrow::RecordBatch& rows,
                                           std::string_view metadata) override;

 private:
  PushExchange(const FlightPushSources& sources, PushRequest request, FeatureLayout layout,
               ingest::StreamHandle stream);
  struct Given;  // a batch, as what pushes take
  base::Result<Given> Import(const arrow::RecordBatch& rows) const;
  std::vector<base::Result<PushAnswer>> PushAll(Given given);

  const FlightPushSources sources_;
  const PushRequest request_;  // of every event
  const FeatureLayout layout_;
  const ingest::StreamHandle stream_;
  const std::shared_ptr<arrow::Schema> schema_;
};

}  // namespace headrace::serving
