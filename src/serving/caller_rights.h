#pragma once
// What a caller may read: views and services by name, restricted features only with the scope for
// it. A feature that may not be read is refused by name, never left out or made null: a model must
// not take "hidden" for "no value".

#include "access/access_list.h"
#include "base/result.h"
#include "pipeline/definition.h"
#include "pipeline/restricted_features.h"
#include "serving/answer_plan.h"

namespace headrace::serving {

// Errors of all: kUnauthorized. `restricted` is of the definition.
base::Result<void> CheckView(const access::Caller& caller, const pipeline::ViewDefinition& view);
base::Result<void> CheckOutput(const access::Caller& caller,
                               const pipeline::PipelineDefinition& definition,
                               const pipeline::RestrictedFeatures& restricted, size_t view,
                               size_t output);
// Whether the view's keys may be told to a caller who did not name them.
base::Result<void> CheckKeys(const access::Caller& caller,
                             const pipeline::PipelineDefinition& definition,
                             const pipeline::RestrictedFeatures& restricted, size_t view);
// The service's name, or every view that is read; then each column.
base::Result<void> CheckPlan(const access::Caller& caller,
                             const pipeline::PipelineDefinition& definition,
                             const pipeline::RestrictedFeatures& restricted,
                             const AnswerPlan& plan);

}  // namespace headrace::serving
