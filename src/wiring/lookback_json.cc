#include "wiring/lookback_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json_text.h"
#include "serving/answer_log.h"
#include "serving/http/answer_json.h"
#include "serving/http/feast_request.h"

namespace headrace::wiring {
namespace {

using base::Error;
using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::Value;
using Json = nlohmann::ordered_json;
using pipeline::KeyRows;
using pipeline::RowVerdict;
using pipeline::ViewDefinition;

std::unexpected<Error> Wrong(std::string_view field, std::string message) {
  return Fail(
      Error(ErrorCode::kInvalidInput, std::move(message)).With("field", std::string(field)));
}

Result<std::string> TextIn(const Json& json, const char* field) {
  const auto found = json.find(field);
  if (found == json.end() || !found->is_string())
    return Wrong(field, fmt::format("`{}` is to be a text", field));
  return found->get<std::string>();
}

Result<uint64_t> NumberIn(const Json& value, const std::string& field) {
  if (value.is_number_unsigned()) return value.get<uint64_t>();
  return Wrong(field, fmt::format("`{}` is to be a whole number", field));
}

Result<RowSource> SourceIn(const Json& value) {
  if (value == "state") return RowSource::kState;
  if (value == "table") return RowSource::kTable;
  if (value == "either") return RowSource::kEither;
  return Wrong("source", "`source` is state, table or either");
}

Result<std::vector<std::pair<std::string, Value>>> KeyIn(const Json& json) {
  const auto found = json.find("key");
  if (found == json.end() || !found->is_object())
    return Wrong("key", R"(`key` is to be an object: {"column": value})");
  std::vector<std::pair<std::string, Value>> key;
  for (const auto& [name, given] : found->items()) {
    if (given.is_structured()) return Wrong(name, fmt::format("`{}` is no single value", name));
    HR_TRY(Value value, serving::ScalarFromJson(base::JsonText(given)));
    key.emplace_back(name, std::move(value));
  }
  return key;
}

// The same text as an answer has: of one value, or of a list of them.
Result<std::string> ServedIn(const Json& json) {
  const auto text = [](const Json& one) -> Result<std::string> {
    if (one.is_structured()) return Wrong("served", "`served` is a value, or a list of values");
    HR_TRY(const Value value, serving::ScalarFromJson(base::JsonText(one)));
    return value.ToJson();
  };
  if (!json.is_array()) return text(json);
  std::string list;
  for (const Json& element : json) {
    HR_TRY(const std::string one, text(element));
    list += (list.empty() ? "" : ",") + one;
  }
  return "[" + list + "]";
}

// Reads what all questions have; false for a member that is none of that.
Result<bool> TakeMember(const std::string& name, const Json& value,
                        std::optional<base::EpochId>& epoch, std::optional<base::Timestamp>& as_of,
                        std::chrono::milliseconds& deadline) {
  if (name == "epoch") {
    if (value.is_null()) return true;
    HR_TRY(const uint64_t number, NumberIn(value, name));
    epoch = base::EpochId{number};
    return true;
  }
  if (name == "as_of") {
    if (value.is_null()) return true;
    if (!value.is_string()) return Wrong(name, "`as_of` is to be a time, RFC 3339");
    auto time = base::ParseTimestamp(value.get<std::string>());
    if (!time) return Wrong(name, time.error().message());
    as_of = *time;
    return true;
  }
  if (name == "deadline_ms") {
    HR_TRY(const uint64_t number, NumberIn(value, name));
    deadline = std::chrono::milliseconds(
        std::min<uint64_t>(number, static_cast<uint64_t>(Lookback::kDeadlineMax.count())));
    return true;
  }
  return false;
}

std::string Quoted(std::string_view text) {
  std::string out;
  columns::AppendJsonString(out, text);
  return out;
}
std::string Time(int64_t us) { return Quoted(base::FormatTimestamp({us})); }
std::string TimeOrNull(int64_t us, int64_t none) { return us == none ? "null" : Time(us); }

std::string ValueJson(const pipeline::OutputValue& value) {
  return fmt::format(R"({{"value":{},"status":"{}","event_time":{}}})", value.value.ToJson(),
                     NameOf(value.status),
                     value.event_time ? Time(value.event_time->us) : std::string("null"));
}

std::string KeyJson(const Explanation& explanation) {
  const pipeline::StreamDefinition& stream =
      explanation.logged.definition->streams[explanation.view_definition().stream];
  std::string out;
  for (size_t i = 0; i < explanation.key.size(); ++i)
    fmt::format_to(std::back_inserter(out), "{}{}:{}", i == 0 ? "" : ",",
                   Quoted(stream.schema()->field(explanation.view_definition().by[i]).name),
                   explanation.key[i].ToJson());
  return "{" + out + "}";
}

std::string RowJson(const Explanation& explanation, size_t row) {
  const ViewDefinition& view = explanation.view_definition();
  const pipeline::AggregateSpec& feature = view.features[view.outputs[explanation.output].feature];
  const KeyRows& rows = explanation.rows;
  const RowVerdict verdict = explanation.explained.verdicts[row];
  std::string out =
      fmt::format(R"({{"epoch":{},"row":{},"event_time":{},"known_at":{})",
                  rows.positions[row].epoch().value, rows.positions[row].row(),
                  Time(rows.times[row]), TimeOrNull(rows.known_at[row], KeyRows::kUnknown));
  if (feature.argument)
    out += ",\"value\":" + rows.arguments.column(*feature.argument).At(row).ToJson();
  if (feature.where)
    out += ",\"condition\":" + rows.arguments.column(*feature.where).At(row).ToJson();
  fmt::format_to(std::back_inserter(out), R"(,"counts":{},"verdict":"{}","why":{})",
                 verdict == RowVerdict::kCounts, NameOf(verdict), Quoted(ReasonOf(verdict)));
  if (const base::Duration late = explanation.explained.late[row]; late.count() > 0)
    fmt::format_to(std::back_inserter(out), R"(,"late_by_us":{})", late.count());
  return out + "}";
}

// What stands for rows that the state does not keep one by one.
std::string TilesJson(const Explanation& explanation) {
  const ViewDefinition& view = explanation.view_definition();
  if (!view.lifetime() && !view.precision) return "null";
  const std::string says =
      view.lifetime()
          ? "the state keeps one tile for all rows older than the view's history: what was "
            "accumulated over them"
          : fmt::format(
                "the state keeps a tile for each {} before the view's history: what was "
                "accumulated over its rows, so a window begins where a tile does",
                base::FormatDuration(*view.precision));
  return fmt::format(
      R"({{"precision":{},"rows_before":{},"says":{}}})",
      view.precision ? Quoted(base::FormatDuration(*view.precision)) : std::string("null"),
      TimeOrNull(explanation.rows.tiles_until, KeyRows::kNever), Quoted(says));
}

std::string WindowJson(const Explanation& explanation) {
  const ViewDefinition& view = explanation.view_definition();
  const std::string text =
      view.lifetime() ? "all time" : TextOf(view.windows[view.outputs[explanation.output].window]);
  return fmt::format(R"({{"says":{},"after":{},"until":{}}})", Quoted(text),
                     TimeOrNull(explanation.explained.after, KeyRows::kNever),
                     Time(explanation.explained.until));
}

std::string CountsJson(const Explanation& explanation) {
  std::string out;
  for (size_t i = 0; i < pipeline::kRowVerdicts; ++i) {
    if (explanation.explained.counts[i] == 0) continue;
    fmt::format_to(std::back_inserter(out), R"({}"{}":{})", out.empty() ? "" : ",",
                   NameOf(static_cast<RowVerdict>(i)), explanation.explained.counts[i]);
  }
  return "{" + out + "}";
}

std::string FeatureJson(const Explanation& explanation) {
  const ViewDefinition& view = explanation.view_definition();
  const pipeline::AggregateSpec& feature = view.features[view.outputs[explanation.output].feature];
  const auto text = [&](const std::optional<size_t>& argument) {
    return argument ? Quoted(view.arguments[*argument].text()) : std::string("null");
  };
  return fmt::format(R"({{"aggregate":"{}","argument":{},"condition":{},"where":{}}})",
                     RowOf(feature.kind).name, text(feature.argument), text(feature.where),
                     view.where ? Quoted(view.where->text()) : std::string("null"));
}

}  // namespace

Result<Timed<ExplainRequest>> ParseExplainRequest(std::string_view body) {
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Wrong("body", "the body of the request is no JSON object");
  Timed<ExplainRequest> timed;
  ExplainRequest& request = timed.request;
  HR_TRY(request.view, TextIn(json, "view"));
  HR_TRY(request.feature, TextIn(json, "feature"));
  HR_TRY(request.key, KeyIn(json));
  for (const auto& [name, value] : json.items()) {
    if (name == "view" || name == "feature" || name == "key") continue;
    HR_TRY(const bool taken, TakeMember(name, value, request.epoch, request.as_of, timed.deadline));
    if (taken) continue;
    if (name == "limit") {
      HR_TRY(request.rows, NumberIn(value, name));
    } else if (name == "source") {
      HR_TRY(request.source, SourceIn(value));
    } else if (name == "served") {
      HR_TRY(request.served, ServedIn(value));
    } else {
      return Wrong(name, fmt::format("`{}` is nothing that can be asked for", name));
    }
  }
  return timed;
}

std::string ExplanationJson(const Explanation& explanation) {
  const ViewDefinition& view = explanation.view_definition();
  const std::optional<bool> same = explanation.SameBits();
  const pipeline::KnownAtRule& known = explanation.logged.definition->streams[view.stream].known_at;
  std::string out = fmt::format(
      R"({{"view":{},"feature":{},"computed":{},"key":{},"window":{},"log":"{}","epoch":{},"as_of":{},"definition":"{}")",
      Quoted(view.name), Quoted(view.outputs[explanation.output].name), FeatureJson(explanation),
      KeyJson(explanation), WindowJson(explanation), explanation.log.ToString(),
      explanation.epoch.value, Time(explanation.as_of.us),
      explanation.logged.definition->id.ToString());
  fmt::format_to(std::back_inserter(out),
                 R"(,"source":"{}","because":{},"table_version":{},"positions_of":{})",
                 explanation.source == RowSource::kState ? "state" : "table",
                 explanation.because.empty() ? "null" : Quoted(explanation.because),
                 explanation.table_version < 0 ? "null" : std::to_string(explanation.table_version),
                 Quoted(explanation.positions_of));
  fmt::format_to(std::back_inserter(out),
                 R"(,"recomputed":{},"served":{},"told":{},"same_bits":{})",
                 ValueJson(explanation.recomputed),
                 explanation.served ? ValueJson(*explanation.served) : std::string("null"),
                 explanation.told.value_or("null"), same ? (*same ? "true" : "false") : "null");
  fmt::format_to(std::back_inserter(out),
                 R"(,"known":"{}","tiles":{},"counts":{},"rows_left_out":{},"rows":[)",
                 known.assumed() ? "assumed" : "observed", TilesJson(explanation),
                 CountsJson(explanation), explanation.rows.size() - explanation.listed.size());
  for (size_t i = 0; i < explanation.listed.size(); ++i) {
    if (i > 0) out += ',';
    out += RowJson(explanation, explanation.listed[i]);
  }
  return out + "]}";
}

Result<Timed<EventsRequest>> ParseEventsRequest(std::string_view body) {
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Wrong("body", "the body of the request is no JSON object");
  Timed<EventsRequest> timed;
  EventsRequest& request = timed.request;
  HR_TRY(request.key, KeyIn(json));
  std::optional<base::Timestamp> no_time;
  for (const auto& [name, value] : json.items()) {
    if (name == "key") continue;
    if (name == "view") {
      HR_TRY(request.view, TextIn(json, "view"));
    } else if (name == "stream") {
      HR_TRY(request.stream, TextIn(json, "stream"));
    } else if (name == "last") {
      HR_TRY(request.last, NumberIn(value, name));
    } else if (name == "source") {
      HR_TRY(request.source, SourceIn(value));
    } else if (name == "as_of") {
      return Wrong(name, "events are those that an epoch saw: give `epoch`");
    } else {
      HR_TRY(const bool taken, TakeMember(name, value, request.epoch, no_time, timed.deadline));
      if (!taken) return Wrong(name, fmt::format("`{}` is nothing that can be asked for", name));
    }
  }
  return timed;
}

std::string LastEventsJson(const LastEvents& events) {
  std::string out = fmt::format(
      R"({{"log":"{}","epoch":{},"source":"{}","because":{},"kept":{},"positions_of":{},"known":"{}","rows":[)",
      events.log.ToString(), events.epoch.value,
      events.source == RowSource::kState ? "state" : "table",
      events.because.empty() ? "null" : Quoted(events.because), Quoted(events.kept),
      Quoted(events.positions_of), events.assumed ? "assumed" : "observed");
  for (size_t row = 0; row < events.times.size(); ++row) {
    fmt::format_to(std::back_inserter(out),
                   R"({}{{"epoch":{},"row":{},"event_time":{},"known_at":{},"values":{{)",
                   row == 0 ? "" : ",", events.positions[row].epoch().value,
                   events.positions[row].row(), Time(events.times[row]),
                   TimeOrNull(events.known_at[row], KeyRows::kUnknown));
    for (size_t i = 0; i < events.values.columns().size(); ++i)
      fmt::format_to(std::back_inserter(out), "{}{}:{}", i == 0 ? "" : ",",
                     Quoted(events.values.schema()->field(i).name),
                     events.values.column(i).At(row).ToJson());
    out += "}}";
  }
  return out + "]}";
}

Result<PastQuestion> ParsePastRequest(const protocols::HttpRequest& request) {
  auto parsed = serving::ParseFeastRequest(request, serving::StatusMode::kStrict);
  if (!parsed) {
    const serving::FieldProblem& problem = parsed.error().front();
    return Wrong(problem.location.empty() ? "body" : problem.location.back(), problem.message);
  }
  if (parsed->mode != serving::StatusMode::kStrict)
    return Wrong("mode", "answers about the past are in `mode: strict`");
  PastQuestion timed;
  if (parsed->deadline) timed.deadline = std::min(*parsed->deadline, Lookback::kDeadlineMax);
  timed.min_epoch = parsed->query.min_epoch;
  timed.shape.full_feature_names = parsed->full_feature_names;
  timed.shape.view_metadata = parsed->view_metadata;
  timed.request.service = std::move(parsed->query.service);
  timed.request.features = parsed->query.features.names();
  timed.request.inputs = std::move(parsed->query.inputs);
  timed.request.rows = parsed->query.rows;
  timed.request.as_of = parsed->query.as_of;
  for (const char* name : {"epoch", "source"}) {
    const auto text = request.Query(name);
    if (!text) continue;
    Json value = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
    if (value.is_discarded()) value = std::string(*text);
    if (std::string_view(name) == "source") {
      HR_TRY(timed.request.source, SourceIn(value));
      continue;
    }
    std::optional<base::Timestamp> no_time;
    HR_TRY_VOID(TakeMember(name, value, timed.request.epoch, no_time, timed.deadline));
  }
  if (timed.min_epoch && timed.request.epoch)
    return Wrong("min_epoch",
                 "`epoch` is one of before, `min_epoch` one to wait for: give one of them");
  return timed;
}

std::string PastAnswerJson(const PastAnswer& past, const serving::FeastRequest& shape) {
  std::string out = serving::FeastAnswerJson(past.answer, shape);
  // It ends with the provenance, which gets two more members.
  HR_CHECK(out.ends_with("}}"), "an answer ends with where it is from");
  out.resize(out.size() - 2);
  return out + fmt::format(R"(,"source":"{}","because":{}}}}})",
                           past.source == RowSource::kState ? "state" : "table",
                           past.because.empty() ? "null" : Quoted(past.because));
}

}  // namespace headrace::wiring
