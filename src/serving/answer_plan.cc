#include "serving/answer_plan.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "contract/diagnostic_report.h"
#include "pipeline/answered_names.h"
#include "serving/not_found.h"

namespace headrace::serving {
namespace {

using base::ErrorCode;
using pipeline::FeatureReference;
using pipeline::PipelineDefinition;
using pipeline::ViewDefinition;

// A view and an output of it by its qualified name; nothing when the name is no such thing.
std::optional<FeatureReference> Qualified(const PipelineDefinition& definition,
                                          std::string_view name) {
  const size_t dot = name.find_first_of(".:");
  if (dot == std::string_view::npos) return std::nullopt;
  const auto view = definition.ViewNamed(name.substr(0, dot));
  if (!view) return std::nullopt;
  const auto& outputs = definition.views[*view].outputs;
  const auto output = std::find_if(outputs.begin(), outputs.end(),
                                   [&](const auto& o) { return o.name == name.substr(dot + 1); });
  if (output == outputs.end()) return std::nullopt;
  return FeatureReference{
      FeatureReference::Kind::kView, *view, static_cast<size_t>(output - outputs.begin()), {}};
}

class PlanCompiler {
 public:
  explicit PlanCompiler(const PipelineDefinition& definition) : definition_(definition) {}

  base::Result<void> Add(const FeatureReference& reference) {
    asked_.features.push_back(reference);
    if (reference.kind == FeatureReference::Kind::kView) {
      const ViewDefinition& view = definition_.views[reference.view];
      HR_TRY(const size_t slot, ViewSlot(reference.view));
      plan_.sources.push_back({PlanSource::Kind::kView, slot, reference.output});
      const pipeline::OutputFeature& output = view.outputs[reference.output];
      columns_.push_back({.view = view.name,
                          .name = output.name,
                          .type = output.type,
                          .elements_max = output.elements_max});
      plan_.row_values += 1 + output.elements_max;
      return {};
    }
    const pipeline::OnRequestFeature& feature = definition_.on_request[reference.view];
    HR_TRY(const size_t slot, OnRequestSlot(reference.view));
    plan_.sources.push_back({PlanSource::Kind::kOnRequest, slot});
    columns_.push_back({.name = feature.name, .type = feature.expression.type()});
    ++plan_.row_values;
    return {};
  }
  size_t size() const { return columns_.size(); }
  AnswerPlanRef Finish(std::string service, std::optional<base::Duration> max_lag) {
    plan_.definition = &definition_;
    plan_.service = std::move(service);
    plan_.max_lag = max_lag;
    NameColumns();
    std::set<std::pair<size_t, size_t>> outputs;
    for (const PlanSource& source : plan_.sources)
      if (source.kind == PlanSource::Kind::kView)
        plan_.outputs_once =
            outputs.emplace(source.slot, source.output).second && plan_.outputs_once;
    plan_.one_view = plan_.views.size() == 1 && plan_.on_request.empty();
    plan_.whole_view = plan_.one_view && AreAllOutputs();
    plan_.columns = std::make_shared<const std::vector<AnswerColumn>>(std::move(columns_));
    return std::make_shared<const AnswerPlan>(std::move(plan_));
  }

 private:
  bool AreAllOutputs() const {
    const size_t outputs = definition_.views[plan_.views[0].view].outputs.size();
    for (size_t i = 0; i < plan_.sources.size(); ++i)
      if (plan_.sources[i].output != i) return false;
    return plan_.sources.size() == outputs;
  }
  void NameColumns() {
    std::vector<pipeline::AnsweredName> names = AnsweredNames(definition_, asked_);
    for (size_t i = 0; i < columns_.size(); ++i) {
      columns_[i].shown = std::move(names[i].shown);
      columns_[i].full = std::move(names[i].full);
      columns_[i].gave_way = names[i].gave_way;
    }
  }
  base::Result<size_t> InputSlot(const std::string& name, columns::Type type,
                                 InputColumn::Use use) {
    for (size_t i = 0; i < plan_.inputs.size(); ++i) {
      PlanInput& input = plan_.inputs[i];
      if (input.name != name) continue;
      if (input.type != type)
        return base::Fail(base::Error(ErrorCode::kInvalidInput,
                                      "these features want `" + name + "` as " +
                                          std::string(columns::NameOf(input.type)) + " and as " +
                                          std::string(columns::NameOf(type)) +
                                          ": ask for them apart")
                              .With("field", name));
      if (use == InputColumn::Use::kJoinKey) input.use = use;
      return i;
    }
    plan_.inputs.push_back({name, type, use});
    return plan_.inputs.size() - 1;
  }
  base::Result<size_t> ViewSlot(size_t view) {
    for (size_t i = 0; i < plan_.views.size(); ++i)
      if (plan_.views[i].view == view) return i;
    const ViewDefinition& definition = definition_.views[view];
    const auto& schema = *definition_.streams[definition.stream].schema();
    PlanView planned{view, {}, definition.name};
    for (const size_t by : definition.by) {
      HR_TRY(const size_t input,
             InputSlot(schema.field(by).name, schema.field(by).type, InputColumn::Use::kJoinKey));
      planned.key_inputs.push_back(input);
    }
    plan_.views.push_back(std::move(planned));
    return plan_.views.size() - 1;
  }
  base::Result<size_t> OnRequestSlot(size_t feature) {
    for (size_t i = 0; i < plan_.on_request.size(); ++i)
      if (plan_.on_request[i].feature == feature) return i;
    const pipeline::OnRequestFeature& definition = definition_.on_request[feature];
    const std::vector<size_t>& read = definition.expression.inputs();
    PlanOnRequest planned{feature, std::vector<PlanSource>(definition.inputs->size(),
                                                           {PlanSource::Kind::kOnRequest})};
    for (const size_t i : read) {
      const columns::Field& field = definition.inputs->field(i);
      if (const auto qualified = Qualified(definition_, field.name)) {
        HR_TRY(const size_t slot, ViewSlot(qualified->view));
        planned.sources[i] = {PlanSource::Kind::kView, slot, qualified->output};
      } else {
        HR_TRY(const size_t slot,
               InputSlot(field.name, field.type, InputColumn::Use::kRequestInput));
        planned.sources[i] = {PlanSource::Kind::kInput, slot};
      }
    }
    plan_.on_request.push_back(std::move(planned));
    return plan_.on_request.size() - 1;
  }

  const PipelineDefinition& definition_;
  AnswerPlan plan_;
  pipeline::ServiceDefinition asked_;  // a list of features is one without a name
  std::vector<AnswerColumn> columns_;
};

// What a list of features may name.
std::vector<std::string> NamedFeatures(const PipelineDefinition& definition) {
  std::vector<std::string> names;
  for (const pipeline::OnRequestFeature& feature : definition.on_request)
    names.push_back(feature.name);
  for (const pipeline::ViewDefinition& view : definition.views)
    for (const pipeline::OutputFeature& output : view.outputs)
      names.push_back(view.name + ":" + output.name);
  return names;
}

base::Result<void> AddNamed(const PipelineDefinition& definition, std::string_view name,
                            PlanCompiler& compiler) {
  for (size_t i = 0; i < definition.on_request.size(); ++i)
    if (definition.on_request[i].name == name)
      return compiler.Add({FeatureReference::Kind::kOnRequest, i, 0, {}});
  const size_t mark = name.find_first_of(".:");
  const std::string_view view_name = name.substr(0, mark);
  const auto view = definition.ViewNamed(view_name);
  if (mark == std::string_view::npos) {
    const std::string hint = contract::DidYouMean(name, NamedFeatures(definition));
    return NotFound(
        "feature", name,
        fmt::format("no feature `{}`: {}", name, hint.empty() ? "name it as view:feature" : hint));
  }
  if (!view) return NoSuchView(definition, view_name);
  if (name.substr(mark + 1) == "*") {
    for (size_t i = 0; i < definition.views[*view].outputs.size(); ++i)
      HR_TRY_VOID(compiler.Add({FeatureReference::Kind::kView, *view, i, {}}));
    return {};
  }
  const auto reference = Qualified(definition, name);
  if (!reference) return NoSuchFeature(definition.views[*view], name.substr(mark + 1));
  return compiler.Add(*reference);
}

}  // namespace

base::Result<AnswerPlanRef> CompileService(const PipelineDefinition& definition,
                                           const pipeline::ServiceDefinition& service) {
  PlanCompiler compiler(definition);
  for (const FeatureReference& reference : service.features) HR_TRY_VOID(compiler.Add(reference));
  return compiler.Finish(service.name, service.max_lag);
}

base::Result<AnswerPlanRef> CompileFeatures(const PipelineDefinition& definition,
                                            const std::vector<std::string>& features,
                                            size_t features_max) {
  PlanCompiler compiler(definition);
  for (const std::string& name : features) {
    HR_TRY_VOID(AddNamed(definition, name, compiler));
    if (compiler.size() > features_max)
      return base::Fail(ErrorCode::kInvalidInput,
                        "more than " + std::to_string(features_max) + " features in one request");
  }
  return compiler.Finish({}, std::nullopt);
}

}  // namespace headrace::serving
