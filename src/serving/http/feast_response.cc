#include "serving/http/feast_response.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "protocols/problem.h"
#include "serving/http/answer_json.h"

namespace headrace::serving {
namespace {

using base::ErrorCode;
using columns::AppendJsonString;

// Calls `append(i)` for each of [0, count), with commas between, in brackets.
template <typename Append>
void AppendArray(std::string& out, size_t count, const Append& append) {
  out += '[';
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) out += ',';
    append(i);
  }
  out += ']';
}

std::string ContextOf(const base::Error& error, std::string_view name) {
  for (const auto& [key, value] : error.context())
    if (key == name) return value;
  return {};
}

// A JSON string whose text is a JSON document: how Feast's server sends its own errors.
protocols::HttpResponse FeastError(int status, std::string_view error_class,
                                   std::string_view message) {
  std::string document = "{\"module\": \"feast.errors\", \"class\": ";
  AppendJsonString(document, error_class);
  document += ", \"message\": ";
  AppendJsonString(document, message);
  document += '}';
  std::string body;
  AppendJsonString(body, document);
  return protocols::HttpResponse::Json(std::move(body), status);
}

void AppendProblem(std::string& out, const FieldProblem& problem) {
  out += "{\"type\":";
  AppendJsonString(out, problem.type);
  out += ",\"loc\":";
  const size_t names = problem.location.size() + 1;
  AppendArray(out, names + (problem.index ? 1 : 0), [&](size_t i) {
    if (i == names)
      out += std::to_string(*problem.index);
    else
      AppendJsonString(out, i == 0 ? "body" : problem.location[i - 1]);
  });
  out += ",\"msg\":";
  AppendJsonString(out, problem.message);
  out += '}';
}

protocols::HttpResponse FieldProblemsResponse(std::span<const FieldProblem> problems) {
  std::string body = "{\"detail\":";
  AppendArray(body, problems.size(), [&](size_t i) { AppendProblem(body, problems[i]); });
  body += '}';
  return protocols::HttpResponse::Json(std::move(body), 422);
}

protocols::HttpResponse FieldProblemResponse(const FieldProblem& problem) {
  return FieldProblemsResponse({&problem, 1});
}

// How Feast's server sends what its own code did not expect.
protocols::HttpResponse Bare(std::string_view message) {
  std::string body;
  AppendJsonString(body, message);
  return protocols::HttpResponse::Json(std::move(body), 500);
}

protocols::HttpResponse BareInFeast(const FieldProblem& problem, StatusMode mode) {
  return mode == StatusMode::kFeast ? Bare(problem.message) : FieldProblemResponse(problem);
}

}  // namespace

protocols::HttpResponse AnswerResponse(const FeatureAnswer& answer, const FeastRequest& request) {
  if (request.mode == StatusMode::kFeast && !request.full_feature_names)
    for (const AnswerColumn& column : *answer.columns)
      if (column.gave_way)
        return FeastError(500, "FeatureNameCollisionError",
                          "Duplicate features named " + column.name +
                              " found.\nTo resolve this collision, either use the full feature "
                              "name by setting 'full_feature_names=True', or ensure that the "
                              "features in question have different names.");
  return protocols::HttpResponse::Json(FeastAnswerJson(answer, request));
}

protocols::HttpResponse AnswerErrorResponse(const base::Error& error, StatusMode mode,
                                            std::string_view project) {
  const std::string object = ContextOf(error, "object");
  const std::string name = ContextOf(error, "name");
  if (error.code() == ErrorCode::kNotFound && object == "view")
    return FeastError(
        404, "FeatureViewNotFoundException",
        "Feature view " + name + " does not exist in project " + std::string(project));
  if (error.code() == ErrorCode::kNotFound && object == "service")
    return FeastError(
        404, "FeatureServiceNotFoundException",
        "Feature service " + name + " does not exist in project " + std::string(project));
  if (error.code() == ErrorCode::kUnauthorized) return protocols::ProblemResponse(error, 403);
  const std::string field = ContextOf(error, "field");
  if (error.code() == ErrorCode::kInvalidInput && ContextOf(error, "missing") == "request_input")
    return FeastError(404, "RequestDataNotFoundInEntityRowsException",
                      "Required request data source features ['" + field +
                          "'] not found in the entity rows, but required by feature views");
  if (object == "feature" || (error.code() == ErrorCode::kInvalidInput && field == "features"))
    return BareInFeast({"value_error", {"features"}, error.message()}, mode);
  if (error.code() == ErrorCode::kInvalidInput)
    return BareInFeast({"value_error", {"entities", field}, error.message()}, mode);
  return protocols::ProblemResponse(error);
}

protocols::HttpResponse WriteErrorResponse(const base::Error& error, StatusMode mode) {
  const std::string object = ContextOf(error, "object");
  const std::string name = ContextOf(error, "name");
  if (error.code() == ErrorCode::kNotFound && object == "push_source")
    return FeastError(422, "PushSourceNotFoundException",
                      "Unable to find push source '" + name + "'.");
  if (error.code() == ErrorCode::kNotFound && object == "view")
    return FeastError(404, "FeastObjectNotFoundException",
                      "Can't recognize feast object with a name " + name);
  if (error.code() != ErrorCode::kInvalidInput) return protocols::ProblemResponse(error);
  FieldProblem problem{"value_error", {"df"}, error.message()};
  if (std::string field = ContextOf(error, "field"); !field.empty())
    problem.location.push_back(std::move(field));
  return BareInFeast(problem, mode);
}

protocols::HttpResponse RequestProblemResponse(const FieldProblems& problems, StatusMode mode) {
  return IsOfCode(problems.front()) ? BareInFeast(problems.front(), mode)
                                    : FieldProblemsResponse(problems);
}

protocols::HttpResponse RefusedRowsResponse(uint64_t refused_rows,
                                            const std::vector<columns::RejectedRow>& refused,
                                            StatusMode mode) {
  if (refused.empty())
    return BareInFeast(
        {"value_error",
         {"df"},
         fmt::format("{} rows were refused; which ones is in the dead letters only", refused_rows)},
        mode);
  const size_t listed = std::min(refused.size(), kRefusedListedMax);
  std::vector<FieldProblem> problems;
  for (size_t i = 0; i < listed; ++i) {
    const columns::RejectedRow& row = refused[i];
    problems.push_back({"value_error",
                        {"df", row.field},
                        fmt::format("{} (rule {})", row.reason, row.rule),
                        row.row});
  }
  if (mode == StatusMode::kFeast)
    return Bare(fmt::format("{} rows were refused, the first, row {}: {}", refused_rows,
                            refused.front().row, problems.front().message));
  return FieldProblemsResponse(problems);
}

protocols::HttpResponse WrittenResponse(FrameVerb verb, std::optional<base::EpochId> epoch) {
  protocols::HttpResponse response;
  if (verb == FrameVerb::kWrite) response = protocols::HttpResponse::Json("null");
  if (epoch) response.fields.push_back({std::string(kEpochHeader), std::to_string(epoch->value)});
  return response;
}

}  // namespace headrace::serving
