#include "serving/flight/key_reads.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include <utility>
#include <vector>

#include "columns/arrow/arrow_bridge.h"
#include "serving/flight/read_request.h"
#include "serving/flight/visible_wait.h"

namespace headrace::serving {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

std::vector<InputColumn> InputsOf(const columns::ColumnBatch& rows) {
  std::vector<InputColumn> inputs;
  for (size_t i = 0; i < rows.schema()->size(); ++i) {
    InputColumn& input = inputs.emplace_back(InputColumn{rows.schema()->field(i).name, {}});
    input.values.reserve(rows.rows());
    for (size_t row = 0; row < rows.rows(); ++row) input.values.push_back(rows.column(i).At(row));
  }
  return inputs;
}

}  // namespace

Result<columns::ColumnBatch> ImportInputs(const arrow::RecordBatch& rows,
                                          const columns::SchemaRef& wanted) {
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (const columns::Field& field : wanted->fields()) {
    const std::vector<int> found = rows.schema()->GetAllFieldIndices(field.name);
    if (found.size() != 1)
      return Fail(
          base::Error(ErrorCode::kInvalidInput,
                      fmt::format("the batches must have a column `{}` ({}): there are {} of it",
                                  field.name, columns::NameOf(field.type), found.size()))
              .With("field", field.name));
    fields.push_back(rows.schema()->field(found[0]));
    arrays.push_back(rows.column(found[0]));
  }
  const auto chosen = arrow::RecordBatch::Make(arrow::schema(std::move(fields)), rows.num_rows(),
                                               std::move(arrays));
  return columns::FromArrow(*chosen, wanted);
}

Result<std::unique_ptr<KeyReads>> KeyReads::Open(const FlightSources& sources,
                                                 std::string_view command,
                                                 const arrow::Schema& schema,
                                                 ingest::FlightCaller caller) {
  HR_TRY(FeatureQuery query, ParseReadCommand(command));
  query.caller = caller.who;
  query.lags = FeatureQuery::Lags::kOfEachView;
  HR_TRY(auto plan, sources.answers->PlanOf(query));
  HR_TRY(FeatureLayout layout, FeatureLayout::Make(std::move(plan)));
  // What does not fit is said before the first batch.
  const auto empty =
      arrow::RecordBatch::MakeEmpty(std::make_shared<arrow::Schema>(schema.fields()));
  if (!empty.ok()) return Fail(base::Error(ErrorCode::kInvalidInput, empty.status().message()));
  HR_TRY_VOID(ImportInputs(**empty, layout.inputs()));
  return std::unique_ptr<KeyReads>(
      new KeyReads(sources, std::move(query), std::move(layout), std::move(caller)));
}

Result<ingest::FlightBatch> KeyReads::Answer(const arrow::RecordBatch& rows,
                                             std::string_view metadata) {
  FeatureQuery query = query_;
  HR_TRY_VOID(ReadBatchRequest(metadata, query));
  HR_TRY(const columns::ColumnBatch inputs, ImportInputs(rows, layout_.inputs()));
  query.inputs = InputsOf(inputs);
  query.rows = inputs.rows();
  HR_TRY(const FeatureAnswer answer, Read(query));
  HR_TRY_VOID(FollowDefinition(answer));
  ingest::FlightBatch reply;
  HR_TRY(reply.rows, layout_.ToArrow(inputs, answer));
  HR_TRY(reply.charge, ChargeReply(*sources_.budget, *reply.rows));
  reply.metadata = AnswerMembers(layout_.plan(), answer) + "}";
  return reply;
}

Result<FeatureAnswer> KeyReads::Read(const FeatureQuery& query) {
  env::Clock& clock = sources_.environment->clock();
  const env::MonotonicTime end = clock.Now() + query.deadline;
  if (query.min_epoch)
    HR_TRY_VOID(WaitUntilVisible(*sources_.answers, *sources_.environment, caller_,
                                 *query.min_epoch, query.deadline));
  while (true) {
    auto answer = sources_.answers->Answer(query);
    if (answer || answer.error().code() != ErrorCode::kUnavailable) return answer;
    if (clock.Now() >= end || caller_.IsGone()) return answer;
    if (!PauseBeforeAnother(*sources_.answers, *sources_.environment, caller_)) return answer;
  }
}

Result<void> KeyReads::FollowDefinition(const FeatureAnswer& answer) {
  if (answer.columns == layout_.plan().columns) return {};
  HR_TRY(auto plan, sources_.answers->PlanOf(query_));
  if (plan->columns != answer.columns || !layout_.Fits(*plan))
    return Fail(ErrorCode::kUnavailable,
                "the definition has changed, and with it the columns of the answers: begin a new "
                "call");
  HR_TRY(layout_, FeatureLayout::Make(std::move(plan)));
  return {};
}

}  // namespace headrace::serving
