// What is asked for: inputs and features of the request, services, tables.
#include <fmt/format.h>

#include <algorithm>

#include "contract/yaml_reading.h"
#include "pipeline/answered_names.h"
#include "pipeline/pipeline_file_reader.h"

namespace headrace::pipeline {

using contract::DiagnosticCode;
using contract::YamlNode;

namespace {

// "view.feature as name".
std::pair<std::string, std::optional<std::string>> FeatureAndAlias(const std::string& text) {
  constexpr std::string_view kAs = " as ";
  const size_t at = text.find(kAs);
  if (at == std::string::npos) return {text, std::nullopt};
  const size_t end = text.find_last_not_of(' ', at) + 1;
  const size_t begin = text.find_first_not_of(' ', at + kAs.size());
  return {text.substr(0, end), text.substr(std::min(begin, text.size()))};
}

// What a service's part of the file calls one of its features.
std::string CalledIn(const PipelineDefinition& definition, const FeatureReference& feature) {
  return feature.alias.empty() ? definition.NameOf(feature) : feature.alias;
}

}  // namespace

void PipelineReader::Inputs(const Node& node) {
  if (!contract::ExpectMap(node, "`inputs`", report_) ||
      TooMany(node, node.items.size(), kFeaturesMax, "inputs"))
    return;
  for (size_t i = 0; i < node.items.size(); ++i) {
    if (!contract::ExpectName(node.keys[i], "`inputs`", report_)) continue;
    const auto text = contract::ReadText(node.items[i], "the type of an input", report_);
    if (!text) continue;
    const auto type = columns::TypeNamed(*text);
    if (!type) {
      std::vector<std::string> names;
      for (const columns::TypeRow& row : columns::TypeTable()) names.emplace_back(row.name);
      report_.Error(
          DiagnosticCode::kUnknownType, node.items[i].place,
          fmt::format("input {}: no type `{}`", node.keys[i].text, *text),
          contract::DidYouMean(*text, names, fmt::format("types: {}", fmt::join(names, ", "))));
      continue;
    }
    inputs_.push_back({0, node.keys[i].text, *type, columns::Nullable::kYes});
  }
}

// Every feature of every view under its full name, then the inputs. Lists are left out, as no
// expression can read them.
columns::SchemaRef PipelineReader::AllFeatures() const {
  std::vector<columns::Field> fields;
  for (const ViewDefinition& view : definition_.views)
    for (const OutputFeature& output : view.outputs)
      if (!columns::IsList(output.type))
        fields.push_back({0, view.name + "." + output.name, output.type, columns::Nullable::kYes});
  fields.insert(fields.end(), inputs_.begin(), inputs_.end());
  for (size_t i = 0; i < fields.size(); ++i) fields[i].id = static_cast<uint32_t>(i + 1);
  return std::make_shared<const columns::Schema>(std::move(fields));
}

void PipelineReader::OnRequest(const Node& node) {
  if (!contract::ExpectMap(node, "`on_request`", report_) ||
      TooMany(node, node.items.size(), kFeaturesMax, "features"))
    return;
  const columns::SchemaRef all = AllFeatures();
  for (size_t i = 0; i < node.items.size(); ++i)
    if (contract::ExpectName(node.keys[i], "`on_request`", report_))
      OnRequestFeatureNamed(node.keys[i], node.items[i], all);
}

// The type of the feature of this full name, if it is a list.
std::optional<columns::Type> PipelineReader::ListFeature(std::string_view feature) const {
  for (const ViewDefinition& view : definition_.views)
    for (const OutputFeature& output : view.outputs)
      if (columns::IsList(output.type) && view.name + "." + output.name == feature)
        return output.type;
  return std::nullopt;
}

// A name that belongs to a part with errors of its own: one complaint is enough.
bool PipelineReader::Broken(std::string_view feature) const {
  return broken_views_.contains(feature.substr(0, feature.find('.')));
}

void PipelineReader::OnRequestFeatureNamed(const Node& name, const Node& node,
                                           const columns::SchemaRef& all) {
  const std::string what = fmt::format("on_request {}", name.text);
  broken_views_.insert(name.text);
  if (definition_.ViewNamed(name.text) || all->IndexOf(name.text)) {
    report_.Error(DiagnosticCode::kNameTaken, name.place,
                  fmt::format("{}: a view or an input has this name", what));
    return;
  }
  const auto text = contract::ReadText(node, what, report_);
  if (!text) return;
  auto wide = Expression::Compile(*text, all);
  if (!wide) {
    const ExpressionError& error = wide.error();
    const std::string wanted = text->substr(error.begin, error.end - error.begin);
    const bool column = error.kind == ExpressionErrorKind::kUnknownColumn;
    if (column && Broken(wanted)) return;
    const bool on_request =
        std::any_of(definition_.on_request.begin(), definition_.on_request.end(),
                    [&](const auto& f) { return f.name == wanted; });
    if (column && on_request) {
      report_.Error(
          DiagnosticCode::kNotInThisVersion, node.PlaceOf(error.begin, error.end),
          fmt::format("{}: on_request features of on_request features are not in this version",
                      what),
          "write the expression out");
    } else if (const auto list = ListFeature(wanted); column && list) {
      report_.Error(DiagnosticCode::kNotInThisVersion, node.PlaceOf(error.begin, error.end),
                    fmt::format("{}: `{}` is {}, and expressions read no lists in this version",
                                what, wanted, columns::NameOf(*list)),
                    "ask for it in a service; count or sum what you need as a feature of its own");
    } else if (column) {
      report_.Error(DiagnosticCode::kUnknownFeature, node.PlaceOf(error.begin, error.end),
                    fmt::format("{}: no feature or input `{}`", what, wanted),
                    error.candidates.empty()
                        ? "what the request brings is declared under `inputs`"
                        : fmt::format("did you mean: {}?", fmt::join(error.candidates, ", ")));
    } else if (node.in_flow && node.style == Node::Style::kPlain &&
               std::count(text->begin(), text->end(), '(') >
                   std::count(text->begin(), text->end(), ')')) {
      report_.Error(
          DiagnosticCode::kCommaInFlowMap, node.place,
          fmt::format("{}: a comma inside {{braces}} ended the text at `{}`", what, *text),
          "quote the whole expression: \"...\"");
    } else {
      ReportExpression(node, 0, error, what, "the features");
    }
    return;
  }
  std::vector<columns::Field> used;  // only what it reads, features before inputs as in `all`
  for (const size_t input : wide->inputs()) {
    used.push_back(all->field(input));
    used.back().id = static_cast<uint32_t>(used.size());
  }
  auto schema = std::make_shared<const columns::Schema>(std::move(used));
  auto expression = Expression::Compile(*text, schema);
  HR_CHECK(expression.has_value(),
           "an expression that compiled does not compile over its own inputs");
  broken_views_.erase(name.text);
  definition_.on_request.push_back({name.text, std::move(schema), std::move(*expression)});
}

void PipelineReader::Service(const Node& name, const Node& node) {
  const std::string what = fmt::format("service {}", name.text);
  broken_views_.insert("service " + name.text);
  if (!CheckSection(node, Section::kService, what)) return;
  ServiceDefinition service;
  service.name = name.text;
  if (const YamlNode* lag = Find(node, Section::kService, "max_lag"))
    service.max_lag = contract::ReadDuration(*lag, what + ": `max_lag`", report_);
  const YamlNode* features = contract::Require(node, "features", what, report_);
  const auto names = features == nullptr
                         ? std::nullopt
                         : contract::ReadTexts(*features, what + ": `features`", report_);
  if (!names) return;
  const size_t errors = report_.errors();
  if (names->empty())
    report_.Error(DiagnosticCode::kNothingToServe, features->place, what + " answers no feature");
  for (const YamlNode* feature : *names) ServiceFeature(*feature, service);
  TooMany(*features, service.features.size(), kFeaturesMax, "features");
  if (report_.errors() != errors) return;
  CheckAliases(*names, service);
  for (const FeatureReference& feature : service.features)
    service.defaults.push_back(columns::Value::Null(definition_.TypeOf(feature)));
  if (const YamlNode* defaults = Find(node, Section::kService, "defaults"))
    ServiceDefaults(*defaults, what, service);
  if (report_.errors() != errors) return;
  if (promised_at_deadline_) service.at_deadline = *promised_at_deadline_;
  broken_views_.erase("service " + name.text);
  definition_.services.push_back(std::move(service));
}

// An alias stays as it is, and so is nothing else's.
void PipelineReader::CheckAliases(const std::vector<const Node*>& names,
                                  const ServiceDefinition& service) {
  const auto inputs = definition_.InputsOf(service);
  const auto answered = AnsweredNames(definition_, service);
  for (const FeatureReference& feature : service.features) {
    if (feature.alias.empty()) continue;
    std::string other = inputs.contains(feature.alias) ? "one of its keys or inputs" : "";
    for (size_t i = 0; i < answered.size(); ++i)
      if (service.features[i].alias.empty() && answered[i].full == feature.alias)
        other = fmt::format("what `{}` is called in full", definition_.NameOf(service.features[i]));
    if (other.empty()) continue;
    const auto node = std::ranges::find_if(
        names, [&](const Node* name) { return name->text.ends_with(" " + feature.alias); });
    report_.Error(DiagnosticCode::kNameTaken, (*node)->place,
                  fmt::format("service {}: `{}` is {}", service.name, feature.alias, other),
                  "choose another alias");
  }
}

void PipelineReader::ServiceDefaults(const Node& node, const std::string& what,
                                     ServiceDefinition& service) {
  if (!contract::ExpectMap(node, what + ": `defaults`", report_)) return;
  for (size_t i = 0; i < node.items.size(); ++i) {
    const std::string& name = node.keys[i].text;
    const auto found = std::ranges::find(service.features, name, [&](const auto& feature) {
      return CalledIn(definition_, feature);
    });
    if (found == service.features.end()) {
      std::vector<std::string> names;
      for (const FeatureReference& feature : service.features)
        names.push_back(CalledIn(definition_, feature));
      report_.Error(DiagnosticCode::kUnknownFeature, node.keys[i].place,
                    fmt::format("{}: `defaults` names `{}`, which it does not answer", what, name),
                    contract::DidYouMean(name, names));
      continue;
    }
    columns::Value& value = service.defaults[static_cast<size_t>(found - service.features.begin())];
    const std::string of_what = fmt::format("{}: the default of `{}`", what, name);
    if (columns::IsList(value.type())) {
      report_.Error(DiagnosticCode::kNotInThisVersion, node.items[i].place,
                    of_what + " is a list, which is not in this version", "leave it out: null");
      continue;
    }
    const auto text = contract::ReadText(node.items[i], of_what, report_);
    if (!text) continue;
    auto read = columns::Value::FromText(value.type(), *text);
    if (read) {
      value = std::move(*read);
    } else {
      report_.Error(DiagnosticCode::kWrongValue, node.items[i].place,
                    fmt::format("{}: {}", of_what, read.error().message()));
    }
  }
}

void PipelineReader::ServiceFeature(const Node& node, ServiceDefinition& service) {
  const std::string what = fmt::format("service {}", service.name);
  const auto [text, alias] = FeatureAndAlias(node.text);
  if (Broken(text)) return;
  if (alias) {
    YamlNode named = node;
    named.text = *alias;
    if (!contract::ExpectName(named, what + ": the alias", report_)) return;
  }
  const auto add = [&](FeatureReference reference) {
    reference.alias = alias.value_or("");
    const std::string name = CalledIn(definition_, reference);
    if (std::ranges::any_of(service.features, [&](const FeatureReference& other) {
          return CalledIn(definition_, other) == name;
        }))
      report_.Error(DiagnosticCode::kNameTaken, node.place,
                    fmt::format("{}: `{}` is there twice", what, name));
    else
      service.features.push_back(std::move(reference));
  };
  const size_t dot = text.find('.');
  std::vector<std::string> known;
  for (size_t i = 0; i < definition_.on_request.size(); ++i) {
    if (definition_.on_request[i].name == text)
      return add({FeatureReference::Kind::kOnRequest, i, 0, {}});
    known.push_back(definition_.on_request[i].name);
  }
  const auto view = definition_.ViewNamed(std::string_view(text).substr(0, dot));
  if (dot != std::string::npos && !view) {
    std::vector<std::string> views;
    for (const ViewDefinition& other : definition_.views) views.push_back(other.name);
    report_.Error(DiagnosticCode::kUnknownView, node.PlaceOf(0, dot),
                  fmt::format("{}: no view `{}`", what, text.substr(0, dot)),
                  contract::DidYouMean(text.substr(0, dot), views));
    return;
  }
  if (alias && text.ends_with(".*")) {
    report_.Error(DiagnosticCode::kNameTaken, node.place,
                  fmt::format("{}: `{}` are several features, and an alias is of one", what, text),
                  "name them one by one");
    return;
  }
  bool found = false;
  for (size_t output = 0; view && output < definition_.views[*view].outputs.size(); ++output) {
    const ViewDefinition& of = definition_.views[*view];
    const std::string name = of.name + "." + of.outputs[output].name;
    const bool wanted = name == text || (dot != std::string::npos && text.substr(dot) == ".*");
    if (wanted) add({FeatureReference::Kind::kView, *view, output, {}});
    found |= wanted;
  }
  if (found) return;
  for (const ViewDefinition& other : definition_.views)
    for (const OutputFeature& output : other.outputs)
      known.push_back(other.name + "." + output.name);
  report_.Error(DiagnosticCode::kUnknownFeature, node.place,
                fmt::format("{}: no feature `{}`", what, text), contract::DidYouMean(text, known));
}

void PipelineReader::Table(const Node& name, const Node& node) {
  const std::string what = fmt::format("table {}", name.text);
  if (!CheckSection(node, Section::kTable, what)) return;
  TableDefinition table;
  if (const YamlNode* commit = Find(node, Section::kTable, "commit"))
    table.commit =
        contract::ReadDuration(*commit, what + ": `commit`", report_).value_or(table.commit);
  if (const YamlNode* format = Find(node, Section::kTable, "format");
      format != nullptr && format->text != "delta")
    report_.Error(DiagnosticCode::kNotInThisVersion, format->place,
                  fmt::format("{}: format `{}` is not in this version", what, format->text),
                  "format: delta");
  if (const YamlNode* widening = Find(node, Section::kTable, "type_widening"))
    table.may_widen = contract::ReadChoice(*widening, {"allowed", "refused"},
                                           what + ": `type_widening`", report_) == "allowed";
  const auto stream = definition_.StreamNamed(name.text);
  if (stream) {
    table.stream = *stream;
    definition_.tables.push_back(table);
  } else if (!broken_streams_.contains(name.text)) {
    std::vector<std::string> names;
    for (const StreamDefinition& known : definition_.streams) names.push_back(known.name);
    report_.Error(DiagnosticCode::kUnknownStream, name.place,
                  fmt::format("{}: no stream of that name", what),
                  contract::DidYouMean(name.text, names));
  }
}

}  // namespace headrace::pipeline
