#pragma once
// The error of a question that names a view, service or feature that is not there.

#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "pipeline/definition.h"

namespace headrace::serving {

// `object` says what kind of thing was named: "view", "service", "feature".
inline std::unexpected<base::Error> NotFound(std::string_view object, std::string_view name,
                                             std::string message) {
  return base::Fail(base::Error(base::ErrorCode::kNotFound, std::move(message))
                        .With("object", std::string(object))
                        .With("name", std::string(name)));
}

// With the nearest name behind it: "no view `crad`: did you mean: card?"
std::unexpected<base::Error> NoSuchView(const pipeline::PipelineDefinition& definition,
                                        std::string_view name);
std::unexpected<base::Error> NoSuchFeature(const pipeline::ViewDefinition& view,
                                           std::string_view name);
std::unexpected<base::Error> NoSuchService(const pipeline::PipelineDefinition& definition,
                                           std::string_view name);

}  // namespace headrace::serving
