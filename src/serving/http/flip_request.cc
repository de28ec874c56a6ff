#include "serving/http/flip_request.h"

#include <nlohmann/json.hpp>

#include "serving/input_values.h"

namespace headrace::serving {
namespace {

using base::ErrorCode;
using columns::Value;

Value ToValue(const nlohmann::json& json) {
  if (json.is_boolean()) return Value::Bool(json.get<bool>());
  if (json.is_number_integer()) return Value::Int64(json.get<int64_t>());
  if (json.is_number()) return Value::Float64(json.get<double>());
  if (json.is_string()) return Value::String(json.get<std::string>());
  return {};
}

}  // namespace

base::Result<FlipRequest> ParseFlipRequest(const pipeline::PipelineDefinition& definition,
                                           std::string_view body) {
  const auto json = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("view") || !json["view"].is_string() ||
      !json.contains("key") || !json["key"].is_object())
    return base::Fail(ErrorCode::kInvalidInput,
                      R"(send {"view": "name", "key": {"column": value}})");
  FlipRequest flip{json["view"].get<std::string>(), {}};
  const auto view = definition.ViewNamed(flip.view);
  if (!view)
    return base::Fail(
        base::Error(ErrorCode::kNotFound, "no view `" + flip.view + "`").With("view", flip.view));
  const auto& schema = *definition.streams[definition.views[*view].stream].schema();
  for (const size_t by : definition.views[*view].by) {
    const columns::Field& field = schema.field(by);
    if (!json["key"].contains(field.name))
      return base::Fail(base::Error(ErrorCode::kInvalidInput, "the key lacks `" + field.name + "`")
                            .With("field", field.name));
    HR_TRY(const Value value, ConvertInput(ToValue(json["key"][field.name]), field.type));
    columns::AppendKeyValue(flip.key, value);
  }
  return flip;
}

}  // namespace headrace::serving
