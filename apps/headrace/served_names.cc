#include "served_names.h"

#include <utility>

#include "contract/no_such_name.h"

namespace headrace::app {

using base::ErrorCode;
using base::Fail;
using base::Result;
using nlohmann::json;

namespace {

std::vector<std::string> Names(const json& things) {
  std::vector<std::string> names;
  for (const json& thing : things) names.push_back(thing.value("name", ""));
  return names;
}

json ListIn(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_array() ? *found : json::array();
}

}  // namespace

Result<ServedNames> ServedNames::Ask(HttpCalls& calls) {
  HR_TRY(const std::string text, calls.Get("/views"));
  return Of(text);
}

Result<ServedNames> ServedNames::Of(const std::string& views) {
  json parsed = json::parse(views, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return Fail(ErrorCode::kInternal, "the engine's views can't be read");
  return ServedNames(std::move(parsed));
}

std::vector<std::string> ServedNames::NamesOf(const char* kind) const {
  return Names(ListIn(json_, kind));
}

const json* ServedNames::Find(const char* kind, const std::string& name) const {
  const auto things = json_.find(kind);
  if (things == json_.end()) return nullptr;
  for (const json& thing : *things)
    if (thing.value("name", "") == name) return &thing;
  return nullptr;
}

std::vector<std::string> ServedNames::FeaturesOf(const std::string& view) const {
  const json* found = Find("views", view);
  return found == nullptr ? std::vector<std::string>() : Names(ListIn(*found, "features"));
}

Result<void> ServedNames::CheckView(const std::string& name) const {
  if (HasView(name)) return {};
  return Fail(contract::NoSuchName("view", name, views(), pipeline()));
}

Result<void> ServedNames::CheckFeature(const std::string& view, const std::string& feature) const {
  HR_TRY_VOID(CheckView(view));
  const std::vector<std::string> names = FeaturesOf(view);
  for (const std::string& name : names)
    if (name == feature) return {};
  return Fail(contract::NoSuchName("feature", feature, names, "view " + view));
}

Result<void> ServedNames::CheckService(const std::string& name) const {
  if (HasService(name)) return {};
  return Fail(contract::NoSuchName("service", name, services(), pipeline()));
}

InputTypes ServedNames::InputsOfView(const std::string& name) const {
  InputTypes inputs;
  if (const json* view = Find("views", name))
    for (const json& key : ListIn(*view, "join_keys"))
      inputs[key.value("name", "")] = key.value("type", "");
  return inputs;
}

// An input is a view's feature, "view.feature"; another feature of this kind; or the request's.
InputTypes ServedNames::InputsOfOnRequest(const std::string& name) const {
  InputTypes inputs;
  const json* feature = Find("on_request", name);
  if (feature == nullptr) return inputs;
  for (const json& each : ListIn(*feature, "inputs")) {
    const auto input = each.get<std::string>();
    if (const size_t dot = input.find('.'); dot != std::string::npos) {
      inputs.merge(InputsOfView(input.substr(0, dot)));
    } else if (input != name && HasOnRequest(input)) {
      inputs.merge(InputsOfOnRequest(input));
    } else {
      inputs.emplace(input, "");
    }
  }
  return inputs;
}

InputTypes ServedNames::InputsOfService(const std::string& name) const {
  InputTypes inputs;
  const json* service = Find("services", name);
  if (service == nullptr) return inputs;
  for (const json& each : ListIn(*service, "features")) {
    const auto feature = each.get<std::string>();
    const size_t colon = feature.find(':');
    inputs.merge(colon == std::string::npos ? InputsOfOnRequest(feature)
                                            : InputsOfView(feature.substr(0, colon)));
  }
  return inputs;
}

}  // namespace headrace::app
