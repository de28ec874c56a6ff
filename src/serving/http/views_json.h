#pragma once
// What can be asked: GET /views.

#include <string>

#include "pipeline/definition.h"

namespace headrace::serving {

// {"pipeline","definition","views":[{"name","join_keys":[{"name","type"}],"windows":[..],"ttl","features":[{"name","type"}]}],
//  "on_request":[{"name","type","inputs":[..]}],"services":[{"name","features":[..]}]}
std::string ViewsJson(const pipeline::PipelineDefinition& definition);

}  // namespace headrace::serving
