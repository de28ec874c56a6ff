#pragma once
// One entity row's values out of the answers of a plan's views: shared by everything that has those
// answers already, from history or from the past.

#include <span>
#include <vector>

#include "columns/value.h"
#include "pipeline/definition.h"
#include "pipeline/views/answer.h"
#include "serving/answer_plan.h"
#include "serving/on_request.h"

namespace headrace::serving {

// A value for each of the plan's columns, in their order. `inputs` are the plan's inputs, of its
// types; `views[i]` answers plan.views[i]. `definition` is the plan's.
std::vector<FeatureValue> ValuesOfPlan(const pipeline::PipelineDefinition& definition,
                                       const AnswerPlan& plan,
                                       std::span<const columns::Value> inputs,
                                       std::span<const pipeline::ViewAnswer> views);

}  // namespace headrace::serving
