#pragma once
// The error of a stream that the definition does not have, with those that it has.

#include <string>
#include <vector>

#include "contract/no_such_name.h"
#include "pipeline/definition.h"

namespace headrace::wiring {

inline base::Error NoSuchStream(const pipeline::PipelineDefinition& definition,
                                const std::string& name) {
  std::vector<std::string> names;
  for (const pipeline::StreamDefinition& stream : definition.streams) names.push_back(stream.name);
  return contract::NoSuchName("stream", name, names, "pipeline " + definition.name);
}

}  // namespace headrace::wiring
