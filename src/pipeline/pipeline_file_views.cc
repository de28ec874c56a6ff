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
  if (!ViewStream(node, view)) return;
  const bool keys = KeyFields(node, view);
  const bool where = Where(node, view);
  const YamlNode* features = contract::Require(node, "features", what, report_);
  if (features == nullptr || !Features(*features, view, window_names) || !windows || !keys ||
      !where)
    return;
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

bool PipelineReader::Windows(const Node& node, ViewDefinition& view,
                             std::vector<std::string>& names) {
  const YamlNode* over = Find(node, Section::kView, "over");
  if (over == nullptr) return true;
  const std::string what = fmt::format("view {}: `over`", view.name);
  const auto texts = contract::ReadTexts(*over, what, report_);
  if (!texts || TooMany(*over, texts->size(), kWindowsMax, "windows")) return false;
  constexpr base::Duration kLongest = std::chrono::hours(24) * 3653;
  std::vector<std::pair<base::Duration, std::string>> windows;
  for (const YamlNode* text : *texts) {
    const auto window = contract::ReadDuration(*text, what, report_);
    if (!window) return false;
    const auto same = std::find_if(windows.begin(), windows.end(),
                                   [&](const auto& w) { return w.first == *window; });
    if (same != windows.end() || *window > kLongest) {
      report_.Error(
          DiagnosticCode::kWindow, text->place,
          same != windows.end()
              ? fmt::format("{}: {} and {} are the same window", what, same->second, text->text)
              : fmt::format("{}: {} is longer than ten years", what, text->text));
      return false;
    }
    windows.emplace_back(*window, text->text);
  }
  if (windows.empty()) {
    report_.Error(DiagnosticCode::kWindow, over->place, what + " has no window",
                  "leave it out to count from the beginning");
    return false;
  }
  std::sort(windows.begin(), windows.end());
  for (auto& [window, text] : windows) {
    view.windows.push_back(window);
    names.push_back(std::move(text));
  }
  return true;
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
                              const std::vector<std::string>& window_names) {
  const std::string what = fmt::format("view {}", view.name);
  if (!contract::ExpectMap(node, what + ": `features`", report_)) return false;
  const size_t errors = report_.errors();
  if (node.items.empty())
    report_.Error(DiagnosticCode::kFeatureText, node.place, what + " has no features");
  if (TooMany(node, node.items.size() * std::max<size_t>(1, view.windows.size()), kFeaturesMax,
              "features"))
    return false;
  FeatureReader reader(
      view, definition_.streams[view.stream], report_,
      [this](const Node& at, size_t offset, const ExpressionError& error, const std::string& who,
             const std::string& of) { ReportExpression(at, offset, error, who, of); });
  for (size_t i = 0; i < node.items.size(); ++i) {
    if (!contract::ExpectName(node.keys[i], what + ": feature", report_)) continue;
    if (!reader.Read(node.keys[i], node.items[i]))
      break;  // a comma cut the map: what follows is rubble
  }
  if (report_.errors() != errors) return false;
  Outputs(view, window_names, node);
  return report_.errors() == errors;
}

void PipelineReader::Outputs(ViewDefinition& view, const std::vector<std::string>& window_names,
                             const Node& node) {
  std::set<std::string> names;
  for (size_t feature = 0; feature < view.features.size(); ++feature) {
    const AggregateSpec& spec = view.features[feature];
    const size_t windows = std::max<size_t>(1, window_names.size());
    for (size_t window = 0; window < windows; ++window) {
      std::string name =
          view.lifetime() ? spec.name : fmt::format("{}_{}", spec.name, window_names[window]);
      if (!names.insert(name).second)
        report_.Error(DiagnosticCode::kNameTaken, node.place,
                      fmt::format("view {}: two features are named `{}`", view.name, name));
      view.outputs.push_back({std::move(name), feature, window, spec.result_type, spec.size});
    }
  }
}

}  // namespace headrace::pipeline
