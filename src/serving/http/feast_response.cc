#include "serving/http/feast_response.h"

#include <fmt/format.h>

#include <algorithm>

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

void AppendValue(std::string& out, const columns::Value& value, FeatureStatus shown,
                 StatusMode mode) {
  if (shown != FeatureStatus::kPresent || value.is_null()) {
    out += "null";
  } else if (mode == StatusMode::kFeast && value.type() == columns::Type::kTimestamp) {
    out += std::to_string(value.as_int() / 1'000'000);
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

}  // namespace

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

protocols::HttpResponse FieldProblemResponse(const FieldProblem& problem) {
  std::string body = "{\"detail\":[{\"type\":";
  AppendJsonString(body, problem.type);
  body += ",\"loc\":";
  AppendArray(body, problem.location.size() + 1,
              [&](size_t i) { AppendJsonString(body, i == 0 ? "body" : problem.location[i - 1]); });
  body += ",\"msg\":";
  AppendJsonString(body, problem.message);
  body += "}]}";
  return protocols::HttpResponse::Json(std::move(body), 422);
}

protocols::HttpResponse AnswerErrorResponse(const base::Error& error, StatusMode mode) {
  const std::string object = ContextOf(error, "object");
  const std::string name = ContextOf(error, "name");
  if (error.code() == ErrorCode::kNotFound && object == "view")
    return FeastError(404, "FeatureViewNotFoundException",
                      "Feature view " + name + " does not exist");
  if (error.code() == ErrorCode::kNotFound && object == "service")
    return FeastError(404, "FeatureServiceNotFoundException",
                      "Feature service " + name + " does not exist");
  const std::string field = ContextOf(error, "field");
  if (error.code() == ErrorCode::kInvalidInput && ContextOf(error, "missing") == "request_input")
    return FeastError(
        404, "RequestDataNotFoundInEntityRowsException",
        "Required request data source features ['" + field + "'] not found in the entity rows");
  const bool bare_in_feast = object == "feature" || error.code() == ErrorCode::kInvalidInput;
  if (bare_in_feast && mode == StatusMode::kFeast) {
    std::string body;
    AppendJsonString(body, error.message());
    return protocols::HttpResponse::Json(std::move(body), 500);
  }
  if (object == "feature")
    return FieldProblemResponse({"value_error", {"features"}, error.message()});
  if (error.code() == ErrorCode::kInvalidInput) {
    if (field == "features")
      return FieldProblemResponse({"value_error", {"features"}, error.message()});
    return FieldProblemResponse({"value_error", {"entities", field}, error.message()});
  }
  return protocols::ProblemResponse(error);
}

}  // namespace headrace::serving
