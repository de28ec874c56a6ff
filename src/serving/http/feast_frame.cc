#include "serving/http/feast_frame.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <unordered_set>

#include "columns/value.h"
#include "serving/http/body_document.h"

namespace headrace::serving {
namespace {

namespace dom = simdjson::dom;
using base::ErrorCode;
using pipeline::PipelineDefinition;
using pipeline::ViewDefinition;

using Checked = std::expected<void, FieldProblem>;

constexpr std::string_view kEventTime = "event_timestamp";  // Feast's client calls every one so
constexpr std::string_view kCreated = "created";

std::unexpected<FieldProblem> Wrong(std::string type, std::vector<std::string> location,
                                    std::string message) {
  return std::unexpected(FieldProblem{std::move(type), std::move(location), std::move(message)});
}

Checked ReadColumns(const dom::element& element, FeastFrame& out) {
  dom::object frame;
  if (element.get(frame)) return Wrong("dict_type", {"df"}, "Input should be a valid dictionary");
  std::unordered_set<std::string_view> names;
  for (const auto& [name, given] : frame) {
    if (out.columns.size() == kFrameColumnsMax)
      return Wrong("too_long", {"df"}, fmt::format("more than {} columns", kFrameColumnsMax));
    if (!names.insert(name).second)
      return Wrong("value_error", {"df", std::string(name)}, "Named twice");
    FrameColumn& column = out.columns.emplace_back(FrameColumn{std::string(name), {}});
    dom::array values;
    if (given.get(values))
      return Wrong("list_type", {"df", column.name},
                   "Input should be a valid list: send {column: [values]}");
    for (const dom::element value : values) {
      if (column.values.size() == kFrameRowsMax)
        return Wrong("too_long", {"df", column.name},
                     fmt::format("more than {} rows: send several frames", kFrameRowsMax));
      column.values.push_back(simdjson::minify(value));
    }
    if (column.values.size() != out.columns.front().values.size())
      return Wrong("value_error", {"df", column.name}, "All arrays must be of the same length");
  }
  return {};
}

Checked CheckDestination(const dom::element& element) {
  std::string_view to;
  if (element.get(to)) return Wrong("string_type", {"to"}, "Input should be a valid string");
  if (to == "online" || to == "offline" || to == "online_and_offline") return {};
  return Wrong("value_error", {"to"},
               fmt::format("{} is not a supported push format. Please specify one of these "
                           "['online', 'offline', 'online_and_offline'].",
                           to));
}

std::string_view TargetField(FrameVerb verb) {
  return verb == FrameVerb::kPush ? "push_source_name" : "feature_view_name";
}

Checked ReadField(std::string_view name, const dom::element& element, FeastFrame& out) {
  if (name == TargetField(out.verb)) {
    std::string_view target;
    if (element.get(target))
      return Wrong("string_type", {std::string(name)}, "Input should be a valid string");
    out.target = target;
    return {};
  }
  if (name == "df") return ReadColumns(element, out);
  if (name == "allow_registry_cache" || name == "transform_on_write") {
    bool passed_over = false;
    return ReadBodyFlag(element, name, passed_over);
  }
  if (name == "to" && out.verb == FrameVerb::kPush) return CheckDestination(element);
  return {};
}

// From a column of the frame to a field of the stream.
struct Filled {
  const FrameColumn* column;
  const columns::Field* field;
};

base::Error ColumnError(std::string_view column, std::string message) {
  return base::Error(ErrorCode::kInvalidInput, std::move(message))
      .With("field", std::string(column));
}

std::unexpected<base::Error> NotThere(const FeastFrame& frame) {
  const bool push = frame.verb == FrameVerb::kPush;
  return base::Fail(base::Error(ErrorCode::kNotFound,
                                fmt::format("there is no {} `{}`",
                                            push ? "stream" : "view or stream", frame.target))
                        .With("object", push ? "push_source" : "view")
                        .With("name", frame.target));
}

// Event time and creation time as Feast's client names them; null for one that is left out.
std::optional<const columns::Field*> TimeField(std::string_view column,
                                               const pipeline::StreamDefinition& stream) {
  if (column == kEventTime) return &stream.schema()->field(stream.timing.event_time_field);
  if (column == kCreated) return nullptr;
  return std::nullopt;
}

base::Result<std::vector<Filled>> FillStream(const FeastFrame& frame,
                                             const pipeline::StreamDefinition& stream) {
  std::vector<Filled> filled;
  for (const FrameColumn& column : frame.columns) {
    if (const auto field = stream.schema()->IndexOf(column.name)) {
      filled.push_back({&column, &stream.schema()->field(*field)});
    } else if (const auto time = TimeField(column.name, stream)) {
      if (*time != nullptr) filled.push_back({&column, *time});
    } else {
      return base::Fail(ColumnError(
          column.name,
          fmt::format("stream `{}` has no field `{}`: leave the column out, or add the field to "
                      "the contract",
                      stream.name, column.name)));
    }
  }
  return filled;
}

std::string StreamToPushTo(const PipelineDefinition& definition, const ViewDefinition& view) {
  return definition.streams[definition.RootOf(view.stream)].name;
}

// The field that a feature is the last value of; nothing when setting it is not an event.
std::optional<size_t> FieldBehind(const PipelineDefinition& definition, const ViewDefinition& view,
                                  const pipeline::OutputFeature& output) {
  const pipeline::AggregateSpec& feature = view.features[output.feature];
  if (feature.kind != pipeline::AggregateKind::kLast || feature.where || !feature.argument)
    return std::nullopt;
  return definition.streams[view.stream].schema()->IndexOf(
      view.arguments[*feature.argument].text());
}

base::Result<void> CheckSettable(const PipelineDefinition& definition, const ViewDefinition& view) {
  const bool derived = definition.streams[view.stream].derived();
  if (view.lifetime() && !view.where && !derived) return {};
  const std::string_view why = derived ? "its rows are made of another stream's"
                                       : (view.where ? "a condition decides which rows are its own"
                                                     : "its features are computed of many events");
  return base::Fail(
      ErrorCode::kInvalidInput,
      fmt::format("the features of view `{}` can't be set, as {}: push the event itself to "
                  "stream `{}` (a push source, or a feature view of that name)",
                  view.name, why, StreamToPushTo(definition, view)));
}

base::Result<Filled> FillFeature(const PipelineDefinition& definition, const ViewDefinition& view,
                                 const FrameColumn& column) {
  const columns::SchemaRef schema = definition.streams[view.stream].schema();
  const auto output = std::find_if(view.outputs.begin(), view.outputs.end(),
                                   [&](const auto& o) { return o.name == column.name; });
  if (output == view.outputs.end())
    return base::Fail(ColumnError(
        column.name, fmt::format("view `{}` has no feature and no key `{}`: leave the column out",
                                 view.name, column.name)));
  const auto field = FieldBehind(definition, view, *output);
  if (!field)
    return base::Fail(ColumnError(
        column.name,
        fmt::format("feature `{}` of view `{}` can't be set, as it is computed: push the event "
                    "itself to stream `{}`",
                    column.name, view.name, StreamToPushTo(definition, view))));
  return Filled{&column, &schema->field(*field)};
}

// A value that is not sent would be the new last value, null: so all of them are asked for.
base::Result<void> CheckWhole(const PipelineDefinition& definition, const ViewDefinition& view,
                              const FeastFrame& frame) {
  const auto sent = [&](std::string_view name) {
    return std::any_of(frame.columns.begin(), frame.columns.end(),
                       [&](const FrameColumn& column) { return column.name == name; });
  };
  for (const pipeline::OutputFeature& output : view.outputs)
    if (FieldBehind(definition, view, output) && !sent(output.name))
      return base::Fail(ColumnError(
          output.name, fmt::format("the frame has no column `{}` of view `{}`: send every feature "
                                   "that can be set, as what is missing would become null",
                                   output.name, view.name)));
  return {};
}

base::Result<std::vector<Filled>> FillView(const FeastFrame& frame,
                                           const PipelineDefinition& definition,
                                           const ViewDefinition& view) {
  HR_TRY_VOID(CheckSettable(definition, view));
  HR_TRY_VOID(CheckWhole(definition, view, frame));
  const pipeline::StreamDefinition& stream = definition.streams[view.stream];
  std::vector<Filled> filled;
  for (const FrameColumn& column : frame.columns) {
    const auto key = std::find_if(view.by.begin(), view.by.end(), [&](size_t by) {
      return stream.schema()->field(by).name == column.name;
    });
    const bool feature = std::any_of(view.outputs.begin(), view.outputs.end(),
                                     [&](const auto& o) { return o.name == column.name; });
    if (key != view.by.end()) {
      filled.push_back({&column, &stream.schema()->field(*key)});
    } else if (const auto time = TimeField(column.name, stream); time && !feature) {
      if (*time != nullptr) filled.push_back({&column, *time});
    } else if (!feature &&
               column.name == stream.schema()->field(stream.timing.event_time_field).name) {
      filled.push_back({&column, &stream.schema()->field(stream.timing.event_time_field)});
    } else {
      HR_TRY(const Filled made, FillFeature(definition, view, column));
      filled.push_back(made);
    }
  }
  return filled;
}

// Feast's times are whole seconds where they are numbers. What is none is left to the row's reader.
void AppendTime(std::string& out, std::string_view value, columns::Type type) {
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  const bool number = error == std::errc() && end == value.data() + value.size();
  if (!number || seconds > INT64_MAX / 1'000'000 || seconds < INT64_MIN / 1'000'000) {
    out += value;
    return;
  }
  std::string text = base::FormatTimestamp(base::Timestamp{seconds * 1'000'000});
  if (type == columns::Type::kTimestampNtz) text.pop_back();
  columns::AppendJsonString(out, text);
}

FrameRows WriteRows(const std::vector<Filled>& filled, std::string_view stream, size_t count) {
  FrameRows rows{std::string(stream), {}, {}};
  std::vector<std::string> names;
  for (const Filled& fill : filled) {
    names.emplace_back(names.empty() ? "{" : ",");
    columns::AppendJsonString(names.back(), fill.field->name);
    names.back() += ':';
  }
  rows.rows.reserve(count);
  for (size_t row = 0; row < count; ++row) {
    const size_t begin = rows.text.size();
    for (size_t i = 0; i < filled.size(); ++i) {
      const std::string& value = filled[i].column->values[row];
      const columns::Type type = filled[i].field->type;
      rows.text += names[i];
      if (type == columns::Type::kTimestamp || type == columns::Type::kTimestampNtz)
        AppendTime(rows.text, value, type);
      else
        rows.text += value;
    }
    rows.text += filled.empty() ? "{}" : "}";
    rows.rows.emplace_back(begin, rows.text.size() - begin);
    rows.text += '\n';
  }
  rows.text.reserve(rows.text.size() + simdjson::SIMDJSON_PADDING);
  return rows;
}

}  // namespace

std::expected<FeastFrame, FieldProblems> ParseFeastFrame(const protocols::HttpRequest& request,
                                                         FrameVerb verb) {
  const std::string_view target = TargetField(verb);
  const std::array<std::string_view, 5> model = {target, "df", "allow_registry_cache", "to",
                                                 "transform_on_write"};
  FeastFrame frame;
  frame.verb = verb;
  FieldProblems problems;
  bool has_columns = false;
  bool has_target = false;
  auto taken = ForEachBodyField(request.body,
                                [&](std::string_view name, const dom::element& element) -> Checked {
                                  has_columns = has_columns || name == "df";
                                  has_target = has_target || name == target;
                                  return ReadField(name, element, frame);
                                });
  if (!taken) problems = std::move(taken).error();
  if (problems.empty() || !problems.front().location.empty()) {
    if (!has_target) problems.push_back({"missing", {std::string(target)}, "Field required"});
    if (!has_columns) problems.push_back({"missing", {"df"}, "Field required"});
  }
  if (problems.empty()) return frame;
  return std::unexpected(Told(std::move(problems), model));
}

uint64_t FeastFrame::held_bytes() const {
  uint64_t bytes = 0;
  for (const FrameColumn& column : columns)
    for (const std::string& value : column.values) bytes += sizeof(std::string) + value.capacity();
  return bytes;
}

// A time has 30 bytes where its number had 10.
uint64_t FeastFrame::row_bytes() const {
  constexpr uint64_t kBesideValue = 32;
  uint64_t bytes = 0;
  for (const FrameColumn& column : columns) {
    bytes += column.values.size() * (column.name.size() + kBesideValue);
    for (const std::string& value : column.values) bytes += value.size();
  }
  return bytes;
}

std::vector<std::string_view> FrameRows::Views() const {
  std::vector<std::string_view> views;
  views.reserve(rows.size());
  for (const auto& [begin, size] : rows)
    views.push_back(std::string_view(text).substr(begin, size));
  return views;
}

base::Result<FrameRows> RowsOf(const FeastFrame& frame, const PipelineDefinition& definition) {
  if (frame.verb == FrameVerb::kWrite) {
    if (const auto view = definition.ViewNamed(frame.target)) {
      const ViewDefinition& named = definition.views[*view];
      HR_TRY(const auto filled, FillView(frame, definition, named));
      return WriteRows(filled, definition.streams[named.stream].name, frame.rows());
    }
  }
  const auto stream = definition.StreamNamed(frame.target);
  if (!stream) return NotThere(frame);
  const pipeline::StreamDefinition& named = definition.streams[*stream];
  if (named.derived())
    return base::Fail(
        ErrorCode::kInvalidInput,
        fmt::format("the rows of stream `{}` are made of those of `{}`: push to that one",
                    named.name, definition.streams[definition.RootOf(*stream)].name));
  HR_TRY(const auto filled, FillStream(frame, named));
  return WriteRows(filled, named.name, frame.rows());
}

}  // namespace headrace::serving
