#pragma once
// DoExchange that reads features: a batch of keys in, a batch of features out, each batch from one
// snapshot.

#include <memory>
#include <string>
#include <string_view>

#include "base/memory_budget.h"
#include "base/result.h"
#include "env/environment.h"
#include "ingest/flight/flight_reads.h"
#include "serving/answer.h"
#include "serving/flight/feature_batch.h"

namespace headrace::serving {

// What verbs over Flight read; all outlive them.
struct FlightSources {
  AnswerService* answers = nullptr;
  env::Environment* environment = nullptr;
  base::MemoryBudget* budget = nullptr;
};

// One call, on its own thread. Rows of an answer are in the order of the request's.
class KeyReads final : public ingest::FlightExchange {
 public:
  // `schema` has the join keys and inputs that the command's features need; other columns are
  // passed over. Errors: those of AnswerService::PlanOf; kInvalidInput for a command that is none
  // and for a column that is missing, there twice, or of a type that can't be the key's.
  static base::Result<std::unique_ptr<KeyReads>> Open(const FlightSources& sources,
                                                      std::string_view command,
                                                      const arrow::Schema& schema,
                                                      ingest::FlightCaller caller);

  std::shared_ptr<arrow::Schema> schema() const override { return layout_.schema(); }
  size_t rows_max() const override { return AnswerLimits().rows_max; }
  // A snapshot that was taken away is read again, a pause later, until the deadline. Errors:
  // those of AnswerService::AnswerWhenVisible; kUnavailable when the definition changed so that
  // answers have other columns: begin a new call.
  base::Result<ingest::FlightBatch> Answer(const arrow::RecordBatch& rows,
                                           std::string_view metadata) override;

 private:
  KeyReads(const FlightSources& sources, FeatureQuery query, FeatureLayout layout,
           ingest::FlightCaller caller)
      : sources_(sources),
        query_(std::move(query)),
        layout_(std::move(layout)),
        caller_(std::move(caller)) {}
  base::Result<FeatureAnswer> Read(const FeatureQuery& query);
  base::Result<void> FollowDefinition(const FeatureAnswer& answer);

  const FlightSources sources_;
  const FeatureQuery query_;  // of every batch, without inputs
  FeatureLayout layout_;
  const ingest::FlightCaller caller_;
};

// The columns of `rows` that `wanted` names, imported. Errors: kInvalidInput.
base::Result<columns::ColumnBatch> ImportInputs(const arrow::RecordBatch& rows,
                                                const columns::SchemaRef& wanted);

}  // namespace headrace::serving
