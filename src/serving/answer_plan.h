#pragma once
// A service or a list of features, compiled: which views to ask with which keys, and where each
// value goes.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "pipeline/definition.h"
#include "serving/answer.h"

namespace headrace::serving {

// An input column that the plan needs.
struct PlanInput {
  std::string name;
  columns::Type type;
  InputColumn::Use use;
};

// A view that is asked once a row.
struct PlanView {
  size_t view;                     // index into the definition's views
  std::vector<size_t> key_inputs;  // indexes into AnswerPlan::inputs, in the order of `by`
  std::string name = {};
};

// Where a value comes from.
struct PlanSource {
  enum class Kind : uint8_t { kView, kInput, kOnRequest } kind;
  size_t slot =
      0;  // kView: index into AnswerPlan::views; kInput: into inputs; kOnRequest: into on_request
  size_t output = 0;  // kView: index into the view's outputs
};

struct PlanOnRequest {
  size_t feature;                   // index into the definition's on_request
  std::vector<PlanSource> sources;  // one for each field of its inputs
};

// Immutable; any thread may use it. Lives no longer than the definition.
struct AnswerPlan {
  const pipeline::PipelineDefinition* definition = nullptr;  // that it is of
  std::string service;                                       // empty for a list
  std::optional<base::Duration> max_lag;
  std::vector<PlanInput> inputs;
  std::vector<PlanView> views;
  std::vector<PlanOnRequest> on_request;
  std::vector<PlanSource> sources;  // one for each column; never kInput
  std::shared_ptr<const std::vector<AnswerColumn>> columns;
  bool outputs_once = true;  // no output of a view is in `sources` twice
  bool one_view = false;     // all `sources` are of one
  bool whole_view = false;   // they are all its outputs, in their order
  size_t row_values = 0;     // values that one row may have at most, elements of lists included
};
using AnswerPlanRef = std::shared_ptr<const AnswerPlan>;

// Errors: kInvalidInput when two views want one key name with different types.
base::Result<AnswerPlanRef> CompileService(const pipeline::PipelineDefinition& definition,
                                           const pipeline::ServiceDefinition& service);
// Errors: also kNotFound, with context object= ("view", "feature") and name=.
base::Result<AnswerPlanRef> CompileFeatures(const pipeline::PipelineDefinition& definition,
                                            const std::vector<std::string>& features,
                                            size_t features_max);

}  // namespace headrace::serving
