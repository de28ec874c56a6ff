#pragma once
// The body of POST /debug/flip: {"view": "origin", "key": {"origin": "ATL"}}.

#include <string>
#include <string_view>

#include "base/result.h"
#include "columns/key.h"
#include "pipeline/definition.h"

namespace headrace::serving {

struct FlipRequest {
  std::string view;
  columns::KeyBytes key;
};

// Errors: kInvalidInput (no JSON, a key column missing or of a wrong type), kNotFound (view).
base::Result<FlipRequest> ParseFlipRequest(const pipeline::PipelineDefinition& definition,
                                           std::string_view body);

}  // namespace headrace::serving
