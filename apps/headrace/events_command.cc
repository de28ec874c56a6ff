// headrace events: the newest rows of a key, over HTTP.

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "aligned_lines.h"
#include "base/json_text.h"
#include "base/next_step.h"
#include "commands.h"
#include "contract/diagnostic_report.h"
#include "contract/no_such_name.h"
#include "http_calls.h"
#include "served_names.h"

namespace headrace::app {
namespace {

using base::Error;
using base::ErrorCode;
using base::Fail;
using nlohmann::json;
using nlohmann::ordered_json;

// The engine knows what streams there are, and the views are known here.
Error NoViewOrStream(const std::string& name, const ServedNames& names, Error error) {
  const auto has = [&](std::string_view text) {
    return std::ranges::any_of(error.context(),
                               [&](const auto& each) { return each.first == text; });
  };
  if (error.code() != ErrorCode::kNotFound || !has("streams")) return error;
  Error told(error.code(), fmt::format("no view and no stream `{}` in {}", name, names.pipeline()));
  told.With("views", contract::Listed(names.views()));
  std::string next = contract::DidYouMean(name, names.views());
  for (const auto& [key, value] : error.context()) {
    if (key == "streams") told.With(key, value);
    if (key == base::kNextStep && next.empty() && value.starts_with("did you mean")) next = value;
  }
  return std::move(told).With(base::kNextStep, next.empty() ? "name one of those above" : next);
}

base::Result<std::string> Ask(const EventsOptions& options) {
  HttpCalls calls(options.http, kLookbackTimeout);
  HR_TRY(const ServedNames names, ServedNames::Ask(calls));
  const std::string& name = options.words.front();
  const bool view = !options.stream && names.HasView(name);
  json question = {
      {view ? "view" : "stream", name}, {"key", json::object()}, {"last", options.last}};
  for (size_t i = 1; i < options.words.size(); ++i) {
    const std::string& word = options.words[i];
    const size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0)
      return Fail(ErrorCode::kInvalidInput,
                  fmt::format("`{}` is no key: write NAME=VALUE, such as card_id=42", word));
    question["key"][word.substr(0, equals)] = word.substr(equals + 1);
  }
  if (options.epoch) question["epoch"] = *options.epoch;
  if (!options.source.empty()) question["source"] = options.source;
  auto answer = calls.PostJson("/last-events", base::JsonText(question));
  if (!answer) return Fail(NoViewOrStream(name, names, std::move(answer).error()));
  return answer;
}

void PrintText(const CommandContext& context, const ordered_json& answer) {
  const ordered_json& rows = answer["rows"];
  fmt::print(context.out, "as epoch {} saw them; {}\n", answer["epoch"].get<uint64_t>(),
             answer["source"] == "state"
                 ? "from the state"
                 : fmt::format("from table and log: {}", TextOf(answer["because"])));
  fmt::print(context.out, "{}\n\n", answer["kept"].get<std::string>());
  if (rows.empty()) return fmt::print(context.out, "  no rows of this key\n");
  std::vector<std::string> header = {"event time", "position", "known at"};
  for (const auto& [name, value] : rows[0]["values"].items()) header.push_back(name);
  AlignedLines lines(std::move(header));
  for (const ordered_json& row : rows) {
    std::vector<std::string> cells = {
        row["event_time"].get<std::string>(),
        fmt::format("({}, {})", row["epoch"].get<uint64_t>(), row["row"].get<uint64_t>()),
        row["known_at"].is_null() ? "-" : row["known_at"].get<std::string>()};
    for (const auto& [name, value] : row["values"].items()) cells.push_back(TextOf(value));
    lines.Add(std::move(cells));
  }
  lines.Print(context.out);
}

}  // namespace

int RunEvents(const EventsOptions& options, CommandContext& context) {
  if (options.words.size() < 2)
    return ReportError(context, Error(ErrorCode::kInvalidInput,
                                      "say of which key: headrace events card card_id=42"));
  return WriteAnswer(context, Ask(options),
                     [&](const ordered_json& answer) { PrintText(context, answer); });
}

}  // namespace headrace::app
