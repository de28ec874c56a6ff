#include "pipeline/answered_names.h"

#include <map>

namespace headrace::pipeline {

std::vector<AnsweredName> AnsweredNames(const PipelineDefinition& definition,
                                        const ServiceDefinition& service) {
  std::map<std::string, int, std::less<>> uses;
  for (const std::string& input : definition.InputsOf(service)) ++uses[input];
  std::vector<AnsweredName> names;
  for (const FeatureReference& feature : service.features) {
    std::string full = feature.alias.empty() ? definition.NameOf(feature) : feature.alias;
    const size_t dot = full.find('.');
    std::string shown = full.substr(dot == std::string::npos ? 0 : dot + 1);
    if (dot != std::string::npos) full.replace(dot, 1, "__");
    ++uses[shown];
    names.push_back({std::move(full), std::move(shown)});
  }
  for (AnsweredName& name : names) {
    name.gave_way = name.shown != name.full && uses[name.shown] > 1;
    if (name.gave_way) name.shown = name.full;
  }
  return names;
}

}  // namespace headrace::pipeline
