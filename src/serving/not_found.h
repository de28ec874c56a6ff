#pragma once
// The error of a question that names a view, service or feature that is not there.

#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "contract/diagnostic_report.h"
#include "pipeline/definition.h"

namespace headrace::serving {

// `object` says what kind of thing was named: "view", "service", "feature".
inline std::unexpected<base::Error> NotFound(std::string_view object, std::string_view name,
                                             std::string message) {
  return base::Fail(base::Error(base::ErrorCode::kNotFound, std::move(message))
                        .With("object", std::string(object))
                        .With("name", std::string(name)));
}

// The same, with the nearest of `names` behind the message: "no view `crad`: did you mean: card?"
inline std::unexpected<base::Error> NotFound(std::string_view object, std::string_view name,
                                             std::string message,
                                             const std::vector<std::string>& names) {
  const std::string hint = contract::DidYouMean(name, names);
  return NotFound(object, name, hint.empty() ? std::move(message) : message + ": " + hint);
}

inline std::unexpected<base::Error> NoSuchView(const pipeline::PipelineDefinition& definition,
                                               std::string_view name) {
  std::vector<std::string> names;
  for (const pipeline::ViewDefinition& view : definition.views) names.push_back(view.name);
  return NotFound("view", name, "no view `" + std::string(name) + "`", names);
}

inline std::unexpected<base::Error> NoSuchFeature(const pipeline::ViewDefinition& view,
                                                  std::string_view name) {
  std::vector<std::string> names;
  for (const pipeline::OutputFeature& output : view.outputs) names.push_back(output.name);
  return NotFound("feature", name,
                  "view `" + view.name + "` has no feature `" + std::string(name) + "`", names);
}

inline std::unexpected<base::Error> NoSuchService(const pipeline::PipelineDefinition& definition,
                                                  std::string_view name) {
  std::vector<std::string> names;
  for (const pipeline::ServiceDefinition& service : definition.services)
    names.push_back(service.name);
  return NotFound("service", name, "no service `" + std::string(name) + "`", names);
}

}  // namespace headrace::serving
