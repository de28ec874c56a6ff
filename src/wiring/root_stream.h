#pragma once

#include <algorithm>
#include <string>

#include "pipeline/definition.h"

namespace headrace::wiring {

// The first that comes in; there is one in every pipeline. Sealing entries name it.
inline std::string RootStreamOf(const pipeline::PipelineDefinition& definition) {
  return std::ranges::find_if_not(definition.streams, &pipeline::StreamDefinition::derived)->name;
}

}  // namespace headrace::wiring
