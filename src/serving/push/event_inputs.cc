#include "serving/push/event_inputs.h"

#include <simdjson.h>

#include "serving/answer_log.h"
#include "serving/input_values.h"

namespace headrace::serving {

base::Result<std::vector<InputColumn>> InputsOfEvent(const AnswerPlan& plan,
                                                     const columns::ColumnBatch& event,
                                                     const std::vector<InputColumn>& given) {
  std::vector<InputColumn> inputs;
  inputs.reserve(plan.inputs.size());
  for (const PlanInput& input : plan.inputs) {
    HR_TRY(const InputColumn* const own, InputNamed(given, input.name));
    if (own != nullptr) {
      inputs.push_back(*own);
      continue;
    }
    const auto field = event.schema()->IndexOf(input.name);
    if (!field) {
      const bool key = input.use == InputColumn::Use::kJoinKey;
      return base::Fail(base::Error(base::ErrorCode::kInvalidInput,
                                    std::string("the event has no field `") + input.name +
                                        "`, which the service needs as " +
                                        (key ? "a key" : "an input") +
                                        ": give it beside the event. Nothing was taken in")
                            .With("field", input.name));
    }
    inputs.push_back({input.name, {event.column(*field).At(0)}});
  }
  return inputs;
}

base::Result<std::vector<InputColumn>> InputsOfText(const AnswerPlan& plan, std::string_view event,
                                                    const std::vector<InputColumn>& given) {
  std::vector<InputColumn> inputs;
  const simdjson::padded_string padded(event);
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  const bool readable = parser.parse(padded).get(object) == simdjson::SUCCESS;
  for (const PlanInput& input : plan.inputs) {
    HR_TRY(const InputColumn* const own, InputNamed(given, input.name));
    if (own != nullptr) {
      inputs.push_back(*own);
      continue;
    }
    simdjson::dom::element member;
    if (!readable || object[input.name].get(member) != simdjson::SUCCESS) continue;
    if (member.is_object() || member.is_array()) continue;
    if (auto value = ScalarFromJson(simdjson::minify(member)))
      inputs.push_back({input.name, {std::move(*value)}});
  }
  return inputs;
}

}  // namespace headrace::serving
