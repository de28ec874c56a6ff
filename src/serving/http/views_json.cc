#include "serving/http/views_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json_text.h"

namespace headrace::serving {
namespace {

using Json = nlohmann::ordered_json;

Json NameAndType(const std::string& name, columns::Type type) {
  return {{"name", name}, {"type", columns::NameOf(type)}};
}

Json ViewJson(const pipeline::PipelineDefinition& definition,
              const pipeline::ViewDefinition& view) {
  const pipeline::StreamDefinition& stream = definition.streams[view.stream];
  Json json = {{"name", view.name},
               {"stream", stream.name},
               {"join_keys", Json::array()},
               {"windows", Json::array()}};
  for (const size_t by : view.by) {
    const columns::Field& field = stream.schema()->field(by);
    json["join_keys"].push_back(NameAndType(field.name, field.type));
  }
  for (const pipeline::Window& window : view.windows)
    json["windows"].push_back(pipeline::TextOf(window));
  if (view.ttl) json["ttl"] = base::FormatDuration(*view.ttl);
  json["features"] = Json::array();
  for (const pipeline::OutputFeature& output : view.outputs)
    json["features"].push_back(NameAndType(output.name, output.type));
  return json;
}

Json OnRequestJson(const pipeline::OnRequestFeature& feature) {
  Json json = NameAndType(feature.name, feature.expression.type());
  json["expression"] = feature.expression.text();
  json["inputs"] = Json::array();
  for (const size_t i : feature.expression.inputs())
    json["inputs"].push_back(feature.inputs->field(i).name);
  return json;
}

Json ServiceJson(const pipeline::PipelineDefinition& definition,
                 const pipeline::ServiceDefinition& service) {
  Json json = {{"name", service.name}, {"features", Json::array()}};
  for (const pipeline::FeatureReference& reference : service.features) {
    std::string name = definition.NameOf(reference);
    std::ranges::replace(name, '.', ':');
    if (!reference.alias.empty()) json["aliases"][reference.alias] = name;
    json["features"].push_back(std::move(name));
  }
  if (service.max_lag) json["max_lag"] = base::FormatDuration(*service.max_lag);
  return json;
}

}  // namespace

std::string ViewsJson(const pipeline::PipelineDefinition& definition) {
  Json json = {{"pipeline", definition.name}, {"definition", definition.id.ToString()}};
  json["views"] = Json::array();
  for (const pipeline::ViewDefinition& view : definition.views)
    json["views"].push_back(ViewJson(definition, view));
  json["on_request"] = Json::array();
  for (const pipeline::OnRequestFeature& feature : definition.on_request)
    json["on_request"].push_back(OnRequestJson(feature));
  json["services"] = Json::array();
  for (const pipeline::ServiceDefinition& service : definition.services)
    json["services"].push_back(ServiceJson(definition, service));
  return base::JsonText(json);
}

}  // namespace headrace::serving
