#include "serving/not_found.h"

#include <vector>

#include <fmt/format.h>

#include "contract/diagnostic_report.h"

namespace headrace::serving {
namespace {

template <typename T>
std::string WithNearest(const std::string& message, std::string_view name,
                        const std::vector<T>& named) {
  std::vector<std::string> names;
  for (const T& each : named) names.push_back(each.name);
  const std::string hint = contract::DidYouMean(name, names);
  return hint.empty() ? message : message + ": " + hint;
}

}  // namespace

std::unexpected<base::Error> NoSuchView(const pipeline::PipelineDefinition& definition,
                                        std::string_view name) {
  return NotFound("view", name,
                  WithNearest(fmt::format("no view `{}`", name), name, definition.views));
}

std::unexpected<base::Error> NoSuchFeature(const pipeline::ViewDefinition& view,
                                           std::string_view name) {
  return NotFound("feature", name,
                  WithNearest(fmt::format("view `{}` has no feature `{}`", view.name, name), name,
                              view.outputs));
}

std::unexpected<base::Error> NoSuchService(const pipeline::PipelineDefinition& definition,
                                           std::string_view name) {
  return NotFound("service", name,
                  WithNearest(fmt::format("no service `{}`", name), name, definition.services));
}

}  // namespace headrace::serving
