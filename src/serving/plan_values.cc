#include "serving/plan_values.h"

#include <utility>

namespace headrace::serving {

std::vector<FeatureValue> ValuesOfPlan(const pipeline::PipelineDefinition& definition,
                                       const AnswerPlan& plan,
                                       std::span<const columns::Value> inputs,
                                       std::span<const pipeline::ViewAnswer> views) {
  const auto read = [&](const PlanSource& source) -> FeatureValue {
    if (source.kind == PlanSource::Kind::kOnRequest) return {};  // not read by the expression
    if (source.kind == PlanSource::Kind::kInput) {
      const columns::Value& value = inputs[source.slot];
      return {
          value,
          value.is_null() ? pipeline::FeatureStatus::kNullValue : pipeline::FeatureStatus::kPresent,
          std::nullopt};
    }
    const pipeline::ViewAnswer& view = views[source.slot];
    return {view.values[source.output], view.statuses[source.output], view.event_time};
  };
  std::vector<FeatureValue> answers;
  answers.reserve(plan.sources.size());
  for (const PlanSource& source : plan.sources) {
    if (source.kind != PlanSource::Kind::kOnRequest) {
      answers.push_back(read(source));
      continue;
    }
    const PlanOnRequest& planned = plan.on_request[source.slot];
    std::vector<FeatureValue> arguments;
    for (const PlanSource& argument : planned.sources) arguments.push_back(read(argument));
    answers.push_back(EvaluateOnRequest(definition.on_request[planned.feature], arguments));
  }
  return answers;
}

}  // namespace headrace::serving
