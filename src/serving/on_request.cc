#include "serving/on_request.h"

#include <algorithm>

namespace headrace::serving {
namespace {

using pipeline::FeatureStatus;

// How much a status explains a NULL; the most telling wins.
int Weight(FeatureStatus status) {
  switch (status) {
    case FeatureStatus::kOutsideMaxAge: return 4;
    case FeatureStatus::kInvalid: return 3;
    case FeatureStatus::kNotFound: return 2;
    case FeatureStatus::kNullValue: return 1;
    case FeatureStatus::kPresent: return 0;
  }
  return 0;
}

}  // namespace

FeatureValue EvaluateOnRequest(const pipeline::OnRequestFeature& feature,
                               std::span<const FeatureValue> inputs) {
  std::vector<columns::Value> row(inputs.size());
  FeatureValue answer;
  for (const size_t i : feature.expression.inputs()) {
    const FeatureValue& input = inputs[i];
    row[i] = input.status == FeatureStatus::kPresent
                 ? input.value
                 : columns::Value::Null(feature.inputs->field(i).type);
    if (Weight(input.status) > Weight(answer.status)) answer.status = input.status;
    if (input.event_time)
      answer.event_time =
          std::max(answer.event_time.value_or(base::Timestamp::Min()), *input.event_time);
  }
  answer.value = feature.expression.Evaluate(row);
  if (!answer.value.is_null()) answer.status = FeatureStatus::kPresent;
  return answer;
}

}  // namespace headrace::serving
