#include "pipeline/views/window_outputs.h"

#include <algorithm>
#include <utility>

#include "pipeline/aggregates/additive_sums.h"

namespace headrace::pipeline {
namespace {

FeatureStatus StatusOf(const AggregateResult& result) {
  if (result.range == AggregateResult::Range::kOutside) return FeatureStatus::kInvalid;
  return result.value.is_null() ? FeatureStatus::kNullValue : FeatureStatus::kPresent;
}

}  // namespace

AggregatePlan PlanOf(const ViewDefinition& view) {
  std::vector<columns::Type> types;
  for (const Expression& argument : view.arguments) types.push_back(argument.type());
  return AggregatePlan(view.features, types);
}

WindowOutputs::WindowOutputs(const ViewDefinition& view)
    : view_(&view), outputs_(std::max<size_t>(1, view.windows.size())) {
  for (size_t i = 0; i < view.outputs.size(); ++i)
    outputs_[view.lifetime() ? 0 : view.outputs[i].window].push_back(i);
}

int64_t WindowOutputs::EdgeOf(size_t window, base::Timestamp as_of) const {
  return view_->lifetime() ? base::Timestamp::Min().us : (as_of - view_->windows[window]).us;
}

base::Duration WindowOutputs::LengthOf(size_t window) const {
  return view_->lifetime() ? base::Duration(0) : view_->windows[window];
}

ViewAnswer WindowOutputs::NotFound() const {
  ViewAnswer answer;
  answer.values.reserve(view_->outputs.size());
  for (const OutputFeature& output : view_->outputs)
    answer.values.push_back(columns::Value::Null(output.type));
  answer.statuses.assign(view_->outputs.size(), FeatureStatus::kNotFound);
  return answer;
}

void WindowOutputs::Write(size_t window, Accumulators& rows, ViewAnswer& answer) const {
  for (const size_t output : outputs_[window]) {
    AggregateResult result = rows.Result(view_->outputs[output].feature, LengthOf(window));
    answer.statuses[output] = StatusOf(result);
    answer.values[output] = std::move(result.value);
  }
}

void WindowOutputs::Write(size_t window, Accumulators& rows, RowAnswers::Row& answer) const {
  for (const size_t output : outputs_[window]) {
    AggregateResult result = rows.Result(view_->outputs[output].feature, LengthOf(window));
    const FeatureStatus status = StatusOf(result);
    answer.Set(output, status, std::move(result.value));
  }
}

void WindowOutputs::WriteSums(size_t window, const AggregatePlan& plan, const SlotPartial* sums,
                              RowAnswers::Row& answer) const {
  constexpr FeatureStatus kStatuses[] = {FeatureStatus::kPresent, FeatureStatus::kNullValue,
                                         FeatureStatus::kInvalid};  // by AdditiveResult::Kind
  for (const size_t output : outputs_[window]) {
    const AdditiveResult result =
        ResultOf(plan, view_->outputs[output].feature, LengthOf(window), sums);
    answer.SetCell(output, kStatuses[static_cast<size_t>(result.kind)], result.cell);
  }
}

void WindowOutputs::WriteEventTime(base::Timestamp newest, base::Timestamp as_of,
                                   ViewAnswer& answer) const {
  answer.event_time = newest;
  if (!view_->ttl || newest + *view_->ttl >= as_of) return;
  std::fill(answer.statuses.begin(), answer.statuses.end(), FeatureStatus::kOutsideMaxAge);
}

}  // namespace headrace::pipeline
