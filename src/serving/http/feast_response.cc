#include "serving/http/feast_response.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "protocols/problem.h"

namespace headrace::serving {
namespace {

using base::ErrorCode;
using columns::AppendJsonString;
using pipeline::FeatureStatus;

constexpr std::string_view kNoTime = "\"1970-01-01T00:00:00Z\"";

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

FeatureStatus Shown(FeatureStatus status, StatusMode mode) {
  const bool hidden =
      status == FeatureStatus::kNullValue || status == FeatureStatus::kOutsideMaxAge;
  return mode == StatusMode::kFeast && hidden ? FeatureStatus::kPresent : status;
}

int64_t WholeSeconds(int64_t us) { return us / 1'000'000 - (us % 1'000'000 < 0 ? 1 : 0); }

void AppendValue(std::string& out, const columns::Value& value, FeatureStatus shown,
                 StatusMode mode) {
  if (shown != FeatureStatus::kPresent || value.is_null()) {
    out += "null";
  } else if (mode == StatusMode::kFeast && value.type() == columns::Type::kTimestamp) {
    out += std::to_string(WholeSeconds(value.as_int()));
  } else if (columns::IsList(value.type())) {
    AppendArray(out, value.as_list().size(),
                [&](size_t i) { AppendValue(out, value.as_list()[i], shown, mode); });
  } else {
    value.AppendJson(out);
  }
}

void AppendKeyColumn(std::string& out, const InputColumn& key) {
  const size_t rows = key.values.size();
  out += "{\"values\":";
  AppendArray(out, rows, [&](size_t row) { key.values[row].AppendJson(out); });
  out += ",\"statuses\":";
  AppendArray(out, rows, [&](size_t) { out += "\"PRESENT\""; });
  out += ",\"event_timestamps\":";
  AppendArray(out, rows, [&](size_t) { out += kNoTime; });
  out += '}';
}

// Formats times; neighbours in an answer are mostly of one view and key, so of one time.
class TimeText {
 public:
  std::string_view Of(const std::optional<base::Timestamp>& time) {
    if (!time) return kNoTime;
    if (time != last_) {
      last_ = time;
      text_ = "\"" + base::FormatTimestamp(*time) + "\"";
    }
    return text_;
  }

 private:
  std::optional<base::Timestamp> last_;
  std::string text_;
};

void AppendFeatureColumn(std::string& out, const FeatureAnswer& answer, size_t column,
                         StatusMode mode, TimeText& times) {
  out += "{\"values\":";
  AppendArray(out, answer.rows, [&](size_t row) {
    const size_t at = answer.At(row, column);
    AppendValue(out, answer.values[at], Shown(answer.statuses[at], mode), mode);
  });
  out += ",\"statuses\":";
  AppendArray(out, answer.rows, [&](size_t row) {
    out += '"';
    out += pipeline::NameOf(Shown(answer.statuses[answer.At(row, column)], mode));
    out += '"';
  });
  out += ",\"event_timestamps\":";
  AppendArray(out, answer.rows,
              [&](size_t row) { out += times.Of(answer.event_times[answer.At(row, column)]); });
  out += '}';
}

void AppendMetadata(std::string& out, const FeatureAnswer& answer, const FeastRequest& request,
                    const std::vector<const InputColumn*>& keys) {
  const std::vector<AnswerColumn>& columns = *answer.columns;
  out += "\"metadata\":{\"feature_names\":";
  AppendArray(out, keys.size() + columns.size(), [&](size_t i) {
    if (i < keys.size()) return AppendJsonString(out, keys[i]->name);
    const AnswerColumn& column = columns[i - keys.size()];
    AppendJsonString(out, request.full_feature_names ? column.full : column.shown);
  });
  if (request.view_metadata) {
    std::vector<std::string_view> views;
    for (const AnswerColumn& column : columns)
      if (!column.view.empty() && std::find(views.begin(), views.end(), column.view) == views.end())
        views.push_back(column.view);
    out += ",\"feature_view_metadata\":";
    AppendArray(out, views.size(), [&](size_t i) {
      out += "{\"name\":";
      AppendJsonString(out, views[i]);
      out += '}';
    });
  }
  out += '}';
}

void AppendProvenance(std::string& out, const FeatureAnswer& answer) {
  fmt::format_to(
      std::back_inserter(out),
      R"("headrace":{{"epoch":{},"as_of":"{}","lag_ms":{},"log":"{}","definition":"{}","clock":"{}"}})",
      answer.epoch.value, base::FormatTimestamp(answer.as_of), answer.lag.count() / 1000,
      answer.log.ToString(), answer.definition.ToString(),
      answer.clock == log::ClockMode::kEvents ? "events" : "wall");
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
      if (column.shown != column.name)
        return FeastError(500, "FeatureNameCollisionError",
                          "Duplicate features named " + column.name +
                              " found.\nTo resolve this collision, either use the full feature "
                              "name by setting 'full_feature_names=True', or ensure that the "
                              "features in question have different names.");
  return protocols::HttpResponse::Json(FeastAnswerJson(answer, request));
}

std::string FeastAnswerJson(const FeatureAnswer& answer, const FeastRequest& request) {
  std::vector<const InputColumn*> keys;
  for (const InputColumn& input : answer.inputs)
    if (input.use == InputColumn::Use::kJoinKey) keys.push_back(&input);
  const size_t features = answer.columns->size();
  std::string out;
  out.reserve(512 + (keys.size() + features) * (64 + answer.rows * 48));
  TimeText times;
  out += "{\"results\":";
  AppendArray(out, keys.size() + features, [&](size_t i) {
    if (i < keys.size())
      AppendKeyColumn(out, *keys[i]);
    else
      AppendFeatureColumn(out, answer, i - keys.size(), request.mode, times);
  });
  out += ',';
  AppendMetadata(out, answer, request, keys);
  out += ',';
  AppendProvenance(out, answer);
  out += '}';
  return out;
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

protocols::HttpResponse RequestProblemResponse(const FieldProblem& problem, StatusMode mode) {
  // What pydantic looks at ends with the names of columns.
  const bool of_column = problem.location.size() > 1 && problem.location.front() == "df";
  const bool of_code = problem.type == "value_error" || of_column;
  return of_code ? BareInFeast(problem, mode) : FieldProblemResponse(problem);
}

protocols::HttpResponse RefusedRowsResponse(const std::vector<columns::RejectedRow>& refused,
                                            StatusMode mode) {
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
    return Bare(fmt::format("{} rows were refused, the first, row {}: {}", refused.size(),
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
