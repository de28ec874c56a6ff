#include "pipeline/definition.h"

namespace headrace::pipeline {
namespace {

template <typename T>
std::optional<size_t> IndexOf(const std::vector<T>& things, std::string_view name) {
  for (size_t i = 0; i < things.size(); ++i)
    if (things[i].name == name) return i;
  return std::nullopt;
}

}  // namespace

std::optional<size_t> PipelineDefinition::StreamNamed(std::string_view wanted) const {
  return IndexOf(streams, wanted);
}
std::optional<size_t> PipelineDefinition::ViewNamed(std::string_view wanted) const {
  return IndexOf(views, wanted);
}
std::optional<size_t> PipelineDefinition::ServiceNamed(std::string_view wanted) const {
  return IndexOf(services, wanted);
}

size_t PipelineDefinition::RootOf(size_t stream) const {
  while (streams[stream].derived()) stream = streams[stream].derivation->source;
  return stream;
}

bool PipelineDefinition::DependsOnOtherRows(size_t stream) const {
  for (; streams[stream].derived(); stream = streams[stream].derivation->source) {
    const Derivation& derivation = *streams[stream].derivation;
    if (derivation.as_of || derivation.interval || derivation.dedupe) return true;
  }
  return false;
}

}  // namespace headrace::pipeline
