#include <fmt/format.h>

#include <algorithm>

#include "contract/yaml_reading.h"
#include "pipeline/feature_text.h"
#include "pipeline/pipeline_file_reader.h"

namespace headrace::pipeline {

using contract::DiagnosticCode;
using contract::YamlNode;

void PipelineReader::View(const Node& name, const Node& node) {
  const std::string what = fmt::format("view {}", name.text);
  broken_views_.insert(name.text);  // until it turns out well
  if (!CheckSection(node, Section::kView, what)) return;
  ViewDefinition view;
  view.name = name.text;
  std::vector<std::string> window_names;
  const bool windows = Windows(node, view, window_names);
  if (!windows) {  // one that stands for those that were meant, so that features are still checked
                   // as windowed
    view.windows = {std::chrono::hours(1)};
    window_names = {"1h"};
  }
  if (const YamlNode* ttl = Find(node, Section::kView, "ttl"))
    view.ttl = contract::ReadDuration(*ttl, what + ": `ttl`", report_);
  if (const YamlNode* history = Find(node, Section::kView, "history"))
    view.history =
        contract::ReadDuration(*history, what + ": `history`", report_).value_or(view.history);
  if (const YamlNode* self = Find(node, Section::kView, "self")) {
    const auto rule =
        contract::ReadChoice(*self, {"included", "excluded"}, what + ": `self`", report_);
    if (rule) view.self = *rule == "included" ? SelfRule::kIncluded : SelfRule::kExcluded;
  }
  if (!ViewStream(node, view)) return;
  const bool keys = KeyFields(node, view);
  const bool where = Where(node, view);
  if (!ViewFeatures(node, view, window_names) || !windows || !keys || !where) return;
  broken_views_.erase(name.text);
  definition_.views.push_back(std::move(view));
}

// A join in `from` makes a derived stream that belongs to the view.
bool PipelineReader::ViewStream(const Node& node, ViewDefinition& view) {
  const std::string what = fmt::format("view {}", view.name);
  const YamlNode* from = contract::Require(node, "from", what, report_);
  if (from == nullptr) return false;
  auto derivation = From(*from, what);
  if (!derivation) return false;
  view.stream = derivation->source;
  if (!derivation->as_of && !derivation->interval) return true;
  AddDerived(view.name + ".from", std::move(*derivation));
  view.stream = definition_.streams.size() - 1;
  return true;
}

bool PipelineReader::KeyFields(const Node& node, ViewDefinition& view) {
  const std::string what = fmt::format("view {}", view.name);
  const YamlNode* by = contract::Require(node, "by", what, report_);
  const auto fields =
      by == nullptr ? std::nullopt : contract::ReadTexts(*by, what + ": `by`", report_);
  if (!fields) return false;
  const StreamDefinition& stream = definition_.streams[view.stream];
  const size_t errors = report_.errors();
  if (fields->empty())
    report_.Error(DiagnosticCode::kKeyField, by->place, what + ": a key has at least one field");
  if (TooMany(*by, fields->size(), kKeyFieldsMax, "key fields")) return false;
  for (const YamlNode* field : *fields) {
    const auto index = stream.schema()->IndexOf(field->text);
    if (!index) {
      std::vector<std::string> names;
      for (const columns::Field& known : stream.schema()->fields()) names.push_back(known.name);
      report_.Error(DiagnosticCode::kUnknownColumn, field->place,
                    fmt::format("{}: no column `{}` in {}", what, field->text, stream.name),
                    contract::DidYouMean(field->text, names,
                                         fmt::format("columns: {}", fmt::join(names, ", "))));
      continue;
    }
    if (columns::IsFloating(stream.schema()->field(*index).type))
      report_.Error(DiagnosticCode::kKeyField, field->place,
                    fmt::format("{}: `{}` is {} in the contract, and a key can't be a float", what,
                                field->text, columns::NameOf(stream.schema()->field(*index).type)),
                    "CAST is not possible here; make it an integer or a string in the contract");
    if (std::find(view.by.begin(), view.by.end(), *index) != view.by.end())
      report_.Error(DiagnosticCode::kKeyField, field->place,
                    fmt::format("{}: `{}` is in the key twice", what, field->text));
    if (!view.entity.empty()) view.entity += ',';
    view.entity += field->text;
    view.by.push_back(*index);
  }
  return report_.errors() == errors;
}

bool PipelineReader::ViewFeatures(const Node& node, ViewDefinition& view,
                                  std::vector<std::string>& window_names) {
  const std::string what = fmt::format("view {}", view.name);
  const YamlNode* last = Find(node, Section::kView, "last");
  const YamlNode* features = last == nullptr ? contract::Require(node, "features", what, report_)
                                             : Find(node, Section::kView, "features");
  if (last == nullptr && features == nullptr) return false;
  if (last != nullptr && features != nullptr && view.lifetime()) {
    report_.Error(DiagnosticCode::kLifetimeView, features->place,
                  what + ": beside `last` features are of windows, and there is no other",
                  "add `over: 24h`, or move them into a view without `last`");
    return false;
  }
  if (features != nullptr && !Features(*features, view, window_names, 0)) return false;
  if (last != nullptr && !LastRows(*last, view, window_names)) return false;
  const YamlNode* ending = Find(node, Section::kView, "ending");
  return ending == nullptr || Ending(*ending, view);
}

bool PipelineReader::Where(const Node& node, ViewDefinition& view) {
  const YamlNode* where = Find(node, Section::kView, "where");
  if (where == nullptr) return true;
  const StreamDefinition& stream = definition_.streams[view.stream];
  view.where = Condition(*where, fmt::format("view {}", view.name), stream.schema(), stream.name);
  return view.where.has_value();
}

std::optional<Expression> PipelineReader::Condition(const Node& where, const std::string& what,
                                                    const columns::SchemaRef& schema,
                                                    const std::string& of_what) {
  const auto text = contract::ReadText(where, what + ": `where`", report_);
  if (!text) return std::nullopt;
  auto expression = Expression::Compile(*text, schema);
  if (!expression) {
    ReportExpression(where, 0, expression.error(), what, of_what);
    return std::nullopt;
  }
  if (expression->type() != columns::Type::kBool) {
    report_.Error(DiagnosticCode::kConditionNotBool, where.place,
                  fmt::format("{}: `where` is {}, not true or false", what,
                              columns::NameOf(expression->type())));
    return std::nullopt;
  }
  return std::move(*expression);
}

bool PipelineReader::Features(const Node& node, ViewDefinition& view,
                              const std::vector<std::string>& window_names, size_t first_window) {
  const std::string what = fmt::format("view {}", view.name);
  if (!contract::ExpectMap(node, what + ": `features`", report_)) return false;
  const size_t errors = report_.errors();
  if (node.items.empty())
    report_.Error(DiagnosticCode::kFeatureText, node.place, what + " has no features");
  const size_t first_feature = view.features.size();
  const size_t windows = std::max<size_t>(1, view.windows.size() - first_window);
  if (TooMany(node, view.outputs.size() + node.items.size() * windows, kFeaturesMax, "features"))
    return false;
  FeatureReader reader(
      view, first_window, definition_.streams[view.stream], report_,
      [this](const Node& at, size_t offset, const ExpressionError& error, const std::string& who,
             const std::string& of) { ReportExpression(at, offset, error, who, of); });
  for (size_t i = 0; i < node.items.size(); ++i) {
    if (!contract::ExpectName(node.keys[i], what + ": feature", report_)) continue;
    if (!reader.Read(node.keys[i], node.items[i]))
      break;  // a comma cut the map: what follows is rubble
  }
  if (report_.errors() != errors) return false;
  Outputs(view, window_names, first_feature, first_window, node);
  return report_.errors() == errors;
}

void PipelineReader::Outputs(ViewDefinition& view, const std::vector<std::string>& window_names,
                             size_t first_feature, size_t first_window, const Node& node) {
  for (size_t feature = first_feature; feature < view.features.size(); ++feature) {
    const AggregateSpec& spec = view.features[feature];
    const size_t end = std::max(first_window + 1, view.windows.size());
    for (size_t window = first_window; window < end; ++window) {
      std::string name = view.lifetime() || window_names[window].empty()
                             ? spec.name
                             : fmt::format("{}_{}", spec.name, window_names[window]);
      if (std::ranges::find(view.outputs, name, &OutputFeature::name) != view.outputs.end())
        report_.Error(DiagnosticCode::kNameTaken, node.place,
                      fmt::format("view {}: two features are named `{}`", view.name, name));
      view.outputs.push_back({std::move(name), feature, window, spec.result_type, spec.size});
    }
  }
}

}  // namespace headrace::pipeline
