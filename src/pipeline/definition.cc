#include "pipeline/definition.h"

#include <fmt/format.h>

#include "columns/schema_evolution.h"

namespace headrace::pipeline {
namespace {

template <typename T>
std::optional<size_t> IndexOf(const std::vector<T>& things, std::string_view name) {
  for (size_t i = 0; i < things.size(); ++i)
    if (things[i].name == name) return i;
  return std::nullopt;
}

}  // namespace

std::string PipelineDefinition::NameOf(const FeatureReference& feature) const {
  if (feature.kind == FeatureReference::Kind::kOnRequest) return on_request[feature.view].name;
  const ViewDefinition& view = views[feature.view];
  return view.name + "." + view.outputs[feature.output].name;
}

columns::Type PipelineDefinition::TypeOf(const FeatureReference& feature) const {
  if (feature.kind == FeatureReference::Kind::kOnRequest)
    return on_request[feature.view].expression.type();
  return views[feature.view].outputs[feature.output].type;
}

std::set<std::string, std::less<>> PipelineDefinition::InputsOf(
    const ServiceDefinition& service) const {
  std::set<std::string, std::less<>> inputs;
  const auto add_keys = [&](const ViewDefinition& view) {
    for (const size_t by : view.by) inputs.insert(streams[view.stream].schema()->field(by).name);
  };
  for (const FeatureReference& feature : service.features) {
    if (feature.kind == FeatureReference::Kind::kView) {
      add_keys(views[feature.view]);
      continue;
    }
    for (const columns::Field& field : on_request[feature.view].inputs->fields()) {
      const size_t dot = field.name.find('.');
      if (dot == std::string::npos) {
        inputs.insert(field.name);
      } else if (const auto view = ViewNamed(std::string_view(field.name).substr(0, dot))) {
        add_keys(views[*view]);
      }
    }
  }
  return inputs;
}

std::optional<size_t> PipelineDefinition::StreamNamed(std::string_view wanted) const {
  return IndexOf(streams, wanted);
}
std::optional<size_t> PipelineDefinition::ViewNamed(std::string_view wanted) const {
  return IndexOf(views, wanted);
}
std::optional<size_t> PipelineDefinition::ServiceNamed(std::string_view wanted) const {
  return IndexOf(services, wanted);
}

std::string_view NameOf(Compatibility compatibility) {
  switch (compatibility) {
    case Compatibility::kBackward: return "backward";
    case Compatibility::kForward: return "forward";
    case Compatibility::kFull: return "full";
  }
  return "backward";
}

std::optional<Compatibility> CompatibilityNamed(std::string_view name) {
  for (const auto each : {Compatibility::kBackward, Compatibility::kForward, Compatibility::kFull})
    if (NameOf(each) == name) return each;
  return std::nullopt;
}

std::string_view NameOf(TableSourceDefinition::Changes changes) {
  switch (changes) {
    case TableSourceDefinition::Changes::kStop: return "stop";
    case TableSourceDefinition::Changes::kSkip: return "skip";
    case TableSourceDefinition::Changes::kNewRows: return "new_rows";
  }
  return "stop";
}

std::string_view NameOf(AtDeadline rule) {
  switch (rule) {
    case AtDeadline::kRefuse: return "refuse";
    case AtDeadline::kLastKnown: return "last_known";
    case AtDeadline::kDefaults: return "defaults";
  }
  return "refuse";
}

std::optional<AtDeadline> AtDeadlineNamed(std::string_view name) {
  for (const AtDeadline rule : {AtDeadline::kRefuse, AtDeadline::kLastKnown, AtDeadline::kDefaults})
    if (NameOf(rule) == name) return rule;
  return std::nullopt;
}

std::string NarrowInputs(const Expression& expression, const columns::Schema& schema) {
  std::string text;
  for (const size_t input : expression.inputs()) {
    const columns::Field& field = schema.field(input);
    if (columns::IsNarrow(field.type) && expression.text() != field.name)
      text += fmt::format("{} {} {}", text.empty() ? " reads" : ",", field.name,
                          columns::NameOf(field.type));
  }
  return text;
}

bool PipelineDefinition::HasTable(size_t stream) const {
  return std::ranges::find(tables, stream, &TableDefinition::stream) != tables.end();
}

size_t PipelineDefinition::RootOf(size_t stream) const {
  while (streams[stream].derived()) stream = streams[stream].derivation->source;
  return stream;
}

bool PipelineDefinition::KeepsPositions(size_t stream) const {
  for (; streams[stream].derived(); stream = streams[stream].derivation->source) {
    const Derivation& derivation = *streams[stream].derivation;
    if (derivation.interval || derivation.unnest) return false;
  }
  return true;
}

bool PipelineDefinition::DependsOnOtherRows(size_t stream) const {
  for (; streams[stream].derived(); stream = streams[stream].derivation->source) {
    const Derivation& derivation = *streams[stream].derivation;
    if (derivation.as_of || derivation.interval || derivation.dedupe) return true;
  }
  return false;
}

std::vector<size_t> PipelineDefinition::SourcesOf(size_t stream) const {
  std::vector<size_t> sources;
  for (; streams[stream].derived(); stream = streams[stream].derivation->source)
    if (const auto& interval = streams[stream].derivation->interval)
      for (const size_t root : SourcesOf(interval->stream)) sources.push_back(root);
  sources.push_back(stream);
  std::ranges::sort(sources);
  sources.erase(std::ranges::unique(sources).begin(), sources.end());
  return sources;
}

}  // namespace headrace::pipeline
