// Lookback: features as of an earlier epoch. For each view and entity row, in this order: what the
// state answers, what its rows give that were there at the epoch, what the rows of table and log
// give.

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "pipeline/restricted_features.h"
#include "serving/answer_plan.h"
#include "serving/caller_rights.h"
#include "serving/input_values.h"
#include "serving/not_found.h"
#include "serving/plan_values.h"
#include "wiring/lookback.h"

namespace headrace::wiring {

using base::Error;
using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::Value;
using pipeline::ViewDefinition;

struct Lookback::Asked {
  pipeline::LoggedDefinition logged;
  serving::AnswerPlanRef plan;
  std::vector<std::vector<Value>> inputs;  // by row, as the plan has them
  std::vector<KeyOfView> keys;             // of each row those of the plan's views
  RowSource source = RowSource::kEither;
  base::EpochId epoch;
};

namespace {

std::unexpected<Error> WrongInput(const std::string& field, std::string message) {
  return Fail(Error(ErrorCode::kInvalidInput, std::move(message)).With("field", field));
}

std::unexpected<Error> TooManyRows(const std::string& field) {
  return WrongInput(field, fmt::format("more than {} rows in one question about the past",
                                       Lookback::kEntityRowsMax));
}

// The plan's inputs row by row.
Result<std::vector<std::vector<Value>>> RowsOfInputs(const serving::AnswerPlan& plan,
                                                     const PastRequest& request) {
  std::vector<std::vector<Value>> rows;
  if (plan.inputs.empty()) {
    if (request.rows > Lookback::kEntityRowsMax) return TooManyRows("entities");
    rows.resize(request.rows);
  }
  for (const serving::PlanInput& input : plan.inputs) {
    HR_TRY(const serving::InputColumn* const column,
           serving::InputNamed(request.inputs, input.name));
    if (column == nullptr) return WrongInput(input.name, fmt::format("missing `{}`", input.name));
    if (column->values.size() > Lookback::kEntityRowsMax) return TooManyRows(input.name);
    if (&input == &plan.inputs.front()) rows.resize(column->values.size());
    if (rows.size() != column->values.size())
      return WrongInput(input.name, fmt::format("`{}` has {} values, the columns before it {}",
                                                input.name, column->values.size(), rows.size()));
    for (size_t row = 0; row < rows.size(); ++row) {
      auto value = serving::ConvertInput(column->values[row], input.type);
      if (!value) return Fail(std::move(value).error().With("field", input.name));
      rows[row].push_back(value->is_null() ? Value::Null(input.type) : std::move(*value));
    }
  }
  return rows;
}

}  // namespace

Result<Lookback::Asked> Lookback::Compile(const PastRequest& request,
                                          const access::CallerRef& caller) const {
  Asked asked{.logged = sources_.views.current(), .plan = {}, .inputs = {}, .keys = {}};
  const pipeline::PipelineDefinition& definition = *asked.logged.definition;
  asked.source = request.source;
  if (request.service.empty() && request.features.empty())
    return WrongInput("features", "name a service or some features");
  if (request.service.empty()) {
    HR_TRY(asked.plan, serving::CompileFeatures(definition, request.features, kFeaturesMax));
  } else {
    const auto service = definition.ServiceNamed(request.service);
    if (!service) return serving::NoSuchService(definition, request.service);
    HR_TRY(asked.plan, serving::CompileService(definition, definition.services[*service]));
  }
  if (caller != nullptr)
    HR_TRY_VOID(
        serving::CheckPlan(*caller, definition, pipeline::FindRestricted(definition), *asked.plan));
  HR_TRY(asked.inputs, RowsOfInputs(*asked.plan, request));
  for (const std::vector<Value>& row : asked.inputs) {
    for (const serving::PlanView& view : asked.plan->views) {
      KeyOfView key{.view = view.view, .values = {}, .bytes = {}};
      for (const size_t input : view.key_inputs) {
        key.values.push_back(row[input]);
        columns::AppendKeyValue(key.bytes, row[input]);
      }
      asked.keys.push_back(std::move(key));
    }
  }
  return asked;
}

// One for each key.
Result<std::vector<pipeline::ViewAnswer>> Lookback::AnswerViews(const Asked& asked,
                                                                Reading& reading,
                                                                env::MonotonicTime deadline,
                                                                PastAnswer& to) {
  const bool earlier = asked.epoch != reading.epoch;
  std::vector<pipeline::ViewAnswer> answers(asked.keys.size());
  std::map<size_t, std::vector<size_t>> of_table;  // keys by view
  const auto question = [&](const ViewDefinition& view) {
    return pipeline::RowQuestion{.as_of = reading.as_of,
                                 .epoch = asked.epoch,
                                 .since = pipeline::SinceOf(asked.logged.since, view.name)};
  };
  const auto stream = [&](const ViewDefinition& view) -> const pipeline::StreamDefinition& {
    return asked.logged.definition->streams[view.stream];
  };
  for (size_t i = 0; i < asked.keys.size(); ++i) {
    const ViewDefinition& view = asked.logged.definition->views[asked.keys[i].view];
    KeyReading& read = reading.keys[i];
    const bool by_state = asked.source != RowSource::kTable;
    if (by_state && !earlier && read.answer) {
      answers[i] = std::move(*read.answer);
      continue;
    }
    if (by_state && earlier && read.rows &&
        IsEnough(view, {}, *read.rows, question(view), pipeline::CopyIsOf::kLaterEpoch)) {
      answers[i] = AnswerFrom(view, stream(view), *read.rows, question(view));
      continue;
    }
    of_table[asked.keys[i].view].push_back(i);
    if (to.because.empty())
      to.because =
          by_state ? WhyNotState(view, read.rows, read.answer, earlier) : "the table was asked for";
  }
  if (of_table.empty()) return answers;
  if (asked.source == RowSource::kState)
    return Fail(ErrorCode::kFailedPrecondition,
                to.because + ": leave `source` out, and table and log are read");
  to.source = RowSource::kTable;
  for (const auto& [index, numbers] : of_table) {
    const ViewDefinition& view = asked.logged.definition->views[index];
    std::vector<KeyOfView> keys;
    for (const size_t i : numbers) keys.push_back(asked.keys[i]);
    auto table = ReadTable(asked.logged, keys, asked.epoch, deadline);
    if (!table) return Fail(std::move(table).error().With("state", to.because));
    for (size_t k = 0; k < numbers.size(); ++k)
      answers[numbers[k]] = AnswerFrom(view, stream(view), table->rows[k], question(view));
  }
  return answers;
}

// As online.
Result<void> Lookback::ApplyMaxLag(const Asked& asked, base::Timestamp as_of,
                                   env::MonotonicTime deadline,
                                   serving::FeatureAnswer& answer) const {
  if (!asked.plan->max_lag) return {};
  const pipeline::PipelineDefinition& definition = *asked.logged.definition;
  std::vector<size_t> streams;
  for (const serving::PlanView& view : asked.plan->views)
    streams.push_back(definition.views[view.view].stream);
  HR_TRY(answer.lag,
         LagAt(definition, streams, {asked.epoch, as_of, *asked.plan->max_lag}, deadline));
  if (answer.lag <= *asked.plan->max_lag) return {};
  for (pipeline::FeatureStatus& status : answer.statuses)
    if (status == pipeline::FeatureStatus::kPresent ||
        status == pipeline::FeatureStatus::kNullValue)
      status = pipeline::FeatureStatus::kOutsideMaxAge;
  return {};
}

Result<PastAnswer> Lookback::Answer(const PastRequest& request, const access::CallerRef& caller,
                                    env::MonotonicTime deadline) {
  for (int pins = 0; pins < kPinsMax; ++pins) {
    HR_TRY(Asked asked, Compile(request, caller));
    HR_TRY(const When when, Settle({request.epoch, request.as_of}));
    HR_TRY(std::optional<Reading> reading,
           ReadState(asked.logged, asked.keys, when, Copied::kWithoutAnswer));
    if (!reading) continue;
    asked.epoch = request.epoch.value_or(reading->epoch);
    PastAnswer past;
    HR_TRY(const std::vector<pipeline::ViewAnswer> views,
           AnswerViews(asked, *reading, deadline, past));
    const size_t per_row = asked.plan->views.size();
    for (size_t row = 0; row < asked.inputs.size(); ++row) {
      for (serving::FeatureValue& value :
           serving::ValuesOfPlan(*asked.logged.definition, *asked.plan, asked.inputs[row],
                                 std::span(views).subspan(row * per_row, per_row))) {
        past.answer.values.push_back(std::move(value.value));
        past.answer.statuses.push_back(value.status);
        past.answer.event_times.push_back(value.event_time);
      }
    }
    HR_TRY_VOID(ApplyMaxLag(asked, reading->as_of, deadline, past.answer));
    past.answer.log = sources_.log;
    past.answer.epoch = asked.epoch;
    past.answer.as_of = reading->as_of;
    past.answer.definition = asked.logged.definition->id;
    past.answer.clock = asked.logged.definition->clock;
    past.answer.service = asked.plan->service;
    past.answer.rows = asked.inputs.size();
    past.answer.columns = asked.plan->columns;
    for (const serving::InputColumn& column : request.inputs)
      for (size_t i = 0; i < asked.plan->inputs.size(); ++i) {
        if (asked.plan->inputs[i].name != column.name) continue;
        serving::InputColumn& taken = past.answer.inputs.emplace_back(
            serving::InputColumn{column.name, {}, asked.plan->inputs[i].use});
        for (const std::vector<Value>& row : asked.inputs) taken.values.push_back(row[i]);
      }
    return past;
  }
  return Fail(ErrorCode::kUnavailable,
              "the state moved on faster than the keys' rows were read: ask again");
}

}  // namespace headrace::wiring
