#pragma once
// Features that are computed when asked, one row at a time; online answers and training sets share
// this.

#include <optional>
#include <span>
#include <vector>

#include "base/time.h"
#include "columns/value.h"
#include "pipeline/definition.h"
#include "pipeline/views/answer.h"

namespace headrace::serving {

// A feature's answer for one row.
struct FeatureValue {
  columns::Value value;
  pipeline::FeatureStatus status = pipeline::FeatureStatus::kNullValue;
  std::optional<base::Timestamp> event_time;  // of the newest input
};

// `inputs[i]` answers feature.inputs->field(i); those that the expression does not read are not
// looked at. An input that is not PRESENT is NULL to the expression. A result is PRESENT; NULL
// takes the most telling status of the inputs: OUTSIDE_MAX_AGE, INVALID, NOT_FOUND, else
// NULL_VALUE.
FeatureValue EvaluateOnRequest(const pipeline::OnRequestFeature& feature,
                               std::span<const FeatureValue> inputs);

}  // namespace headrace::serving
