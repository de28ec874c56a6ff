#include "serving/http/feast_request.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "serving/http/body_document.h"
#include "serving/http/kept_features.h"

namespace headrace::serving {
namespace {

namespace dom = simdjson::dom;
using columns::Value;

constexpr size_t kEntitiesMax = 1024;
constexpr AnswerLimits kLimits;

using Checked = std::expected<void, FieldProblem>;

std::unexpected<FieldProblem> Wrong(std::string type, std::vector<std::string> location,
                                    std::string message, std::optional<size_t> index = {}) {
  return std::unexpected(
      FieldProblem{std::move(type), std::move(location), std::move(message), index});
}

// A scalar as a value of JSON's own types; nothing for arrays and objects.
std::optional<Value> Scalar(const dom::element& element) {
  switch (element.type()) {
    case dom::element_type::NULL_VALUE: return Value();
    case dom::element_type::BOOL: return Value::Bool(element.get_bool().value_unsafe());
    case dom::element_type::INT64: return Value::Int64(element.get_int64().value_unsafe());
    case dom::element_type::UINT64:
      return Value::Float64(static_cast<double>(element.get_uint64().value_unsafe()));
    case dom::element_type::DOUBLE: return Value::Float64(element.get_double().value_unsafe());
    case dom::element_type::STRING:
      return Value::String(std::string(element.get_string().value_unsafe()));
    default: return std::nullopt;
  }
}

Checked ReadEntities(const dom::element& element, FeastRequest& out) {
  dom::object entities;
  if (element.get(entities))
    return Wrong("dict_type", {"entities"}, "Input should be a valid dictionary");
  for (const auto& [name, given] : entities) {
    InputColumn column{std::string(name), {}};
    if (std::ranges::find(out.query.inputs, column.name, &InputColumn::name) !=
        out.query.inputs.end())
      return Wrong("value_error", {"entities", column.name}, "Named twice");
    if (out.query.inputs.size() == kEntitiesMax)
      return Wrong("too_long", {"entities"},
                   "At most " + std::to_string(kEntitiesMax) + " entities");
    dom::array values;
    if (given.get(values))
      return Wrong("list_type", {"entities", column.name}, "Input should be a valid list");
    if (values.size() > kLimits.rows_max)
      return Wrong("value_error", {"entities", column.name}, TooManyRowsText(kLimits.rows_max));
    column.values.reserve(values.size());
    for (const dom::element value : values) {
      auto scalar = Scalar(value);
      if (!scalar)
        return Wrong("scalar_type", {"entities", column.name},
                     "Input should be a number, a string, a boolean or null", column.values.size());
      column.values.push_back(std::move(*scalar));
    }
    out.query.inputs.push_back(std::move(column));
  }
  return {};
}

// "view@latest:feature" is the feature as it is; other versions are not kept.
Checked AddFeature(std::string_view name, std::vector<std::string>& out) {
  const size_t colon = name.find(':');
  const size_t at = name.substr(0, colon).find('@');
  if (colon == std::string_view::npos || at == std::string_view::npos) {
    out.emplace_back(name);
    return {};
  }
  if (name.substr(at, colon - at) != "@latest")
    return Wrong("value_error", {"features"},
                 "Version-qualified ref '" + std::string(name.substr(0, colon)) +
                     "' not supported: the definition in force is the only version that is served",
                 out.size());
  out.push_back(std::string(name.substr(0, at)) + std::string(name.substr(colon)));
  return {};
}

Checked ReadFeatures(const dom::element& element, FeastRequest& out) {
  dom::array features;
  if (element.is_null()) return {};
  if (element.get(features))
    return Wrong("list_type", {"features"}, "Input should be a valid list");
  if (features.size() > kLimits.features_max)
    return Wrong("value_error", {"features"},
                 "more than " + std::to_string(kLimits.features_max) + " features in one request");
  std::vector<std::string> names = out.query.features.names();  // of a list before this one
  names.reserve(names.size() + features.size());
  for (const dom::element feature : features) {
    std::string_view name;
    if (feature.get(name))
      return Wrong("string_type", {"features"}, "Input should be a valid string", names.size());
    if (auto added = AddFeature(name, names); !added) return added;
  }
  out.query.features = std::move(names);
  return {};
}

Checked ReadText(const dom::element& element, const char* field, std::string& out) {
  std::string_view text;
  if (element.is_null()) return {};
  if (element.get(text)) return Wrong("string_type", {field}, "Input should be a valid string");
  out = text;
  return {};
}

Checked SetAsOf(std::string_view text, FeastRequest& out) {
  const auto as_of = base::ParseTimestamp(text);
  if (!as_of) return Wrong("datetime_parsing", {"as_of"}, as_of.error().message());
  out.query.as_of = *as_of;
  return {};
}

Checked SetMode(std::string_view text, FeastRequest& out) {
  if (text != "strict" && text != "feast")
    return Wrong("enum", {"mode"}, "Input should be 'strict' or 'feast'");
  out.mode = text == "feast" ? StatusMode::kFeast : StatusMode::kStrict;
  return {};
}

Checked SetCount(const char* field, uint64_t count, FeastRequest& out) {
  if (std::string_view(field) == "min_epoch") {
    out.query.min_epoch = base::EpochId{count};
    return {};
  }
  out.query.deadline = std::chrono::milliseconds(std::min<uint64_t>(count, 86'400'000));
  out.deadline = out.query.deadline;
  return {};
}

Checked ReadCount(const dom::element& element, const char* field, FeastRequest& out) {
  uint64_t count = 0;
  if (element.get(count))
    return Wrong("int_type", {field}, "Input should be a non-negative integer");
  return SetCount(field, count, out);
}

Checked ReadField(std::string_view name, const dom::element& element, FeastRequest& out) {
  if (name == "entities") return ReadEntities(element, out);
  if (name == "features") return ReadFeatures(element, out);
  if (name == "feature_service") return ReadText(element, "feature_service", out.query.service);
  if (name == "full_feature_names")
    return ReadBodyFlag(element, "full_feature_names", out.full_feature_names);
  if (name == "include_feature_view_version_metadata")
    return ReadBodyFlag(element, "include_feature_view_version_metadata", out.view_metadata);
  if (name == "min_epoch") return ReadCount(element, "min_epoch", out);
  if (name == "deadline_ms") return ReadCount(element, "deadline_ms", out);
  std::string text;
  if (name == "as_of") {
    if (auto read = ReadText(element, "as_of", text); !read) return read;
    return text.empty() ? Checked{} : SetAsOf(text, out);
  }
  if (name == "mode") {
    if (auto read = ReadText(element, "mode", text); !read) return read;
    return SetMode(text, out);
  }
  return {};  // Feast's server passes over what it does not know, and so do its clients
}

Checked ReadQueryString(const protocols::HttpRequest& request, FeastRequest& out) {
  if (const auto as_of = request.Query("as_of"))
    if (auto set = SetAsOf(*as_of, out); !set) return set;
  if (const auto mode = request.Query("mode"))
    if (auto set = SetMode(*mode, out); !set) return set;
  for (const char* field : {"min_epoch", "deadline_ms"}) {
    const auto text = request.Query(field);
    if (!text) continue;
    uint64_t count = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), count);
    if (error != std::errc() || end != text->data() + text->size())
      return Wrong("int_parsing", {field}, "Input should be a non-negative integer");
    if (auto set = SetCount(field, count, out); !set) return set;
  }
  return {};
}

}  // namespace

bool IsOfCode(const FieldProblem& problem) {
  // What pydantic looks at ends with the names of columns.
  const bool of_column = problem.location.size() > 1 && problem.location.front() == "df";
  return problem.type == "value_error" || of_column;
}

std::expected<FeastRequest, FieldProblems> ParseFeastRequest(const protocols::HttpRequest& request,
                                                             StatusMode mode) {
  static constexpr std::array<std::string_view, 5> kModel = {
      "entities", "feature_service", "features", "full_feature_names",
      "include_feature_view_version_metadata"};
  FeastRequest out;
  out.mode = mode;
  out.query.caller = request.caller;
  FieldProblems problems;
  bool entities = false;
  size_t lists = 0;
  thread_local KeptFeatures kept;
  const auto known = kept.Find(request.body);
  if (known) out.query.features = known->names;
  auto taken = ForEachBodyField(known ? known->rest : request.body,
                                [&](std::string_view name, const dom::element& element) -> Checked {
                                  if (name == "entities" && std::exchange(entities, true))
                                    return Wrong("value_error", {"entities"}, "Named twice");
                                  if (name == "features") ++lists;
                                  return ReadField(name, element, out);
                                });
  if (taken && !known && lists == 1 && !out.query.features.empty())
    kept.Keep(request.body, out.query.features);
  if (!taken) problems = std::move(taken).error();
  const bool readable = problems.empty() || !problems.front().location.empty();
  if (readable && !entities) problems.push_back({"missing", {"entities"}, "Field required"});
  if (!problems.empty()) return std::unexpected(Told(std::move(problems), kModel));
  if (!out.query.inputs.empty()) out.query.rows = out.query.inputs[0].values.size();
  if (out.query.service.empty() && out.query.features.empty())
    return std::unexpected(FieldProblems{
        {"value_error",
         {"features"},
         "No features specified for retrieval: name a feature_service or some features"}});
  if (auto read = ReadQueryString(request, out); !read)
    return std::unexpected(FieldProblems{std::move(read).error()});
  return out;
}

}  // namespace headrace::serving
