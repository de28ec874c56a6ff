// headrace get: one answer, over HTTP.

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "aligned_lines.h"
#include "base/json_text.h"
#include "base/next_step.h"
#include "clock_text.h"
#include "columns/value.h"
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

// What is asked for, and the names that the question may give values to.
struct Asked {
  json question;
  InputTypes inputs;
};

// Of a word such as "origin", "origin.mean_delay_1h" (or with a colon) or "delay_trend".
base::Result<Asked> AskedBy(const std::string& word, const ServedNames& names) {
  if (names.HasView(word)) return Asked{{{"features", {word + ".*"}}}, names.InputsOfView(word)};
  if (names.HasOnRequest(word)) return Asked{{{"features", {word}}}, names.InputsOfOnRequest(word)};
  const size_t dot = word.find_first_of(".:");
  const std::string view = word.substr(0, dot);
  if (dot != std::string::npos) {
    const std::string feature = word.substr(dot + 1);
    HR_TRY_VOID(feature == "*" ? names.CheckView(view) : names.CheckFeature(view, feature));
    return Asked{{{"features", {view + "." + feature}}}, names.InputsOfView(view)};
  }
  if (names.HasService(word))
    return Fail(Error(ErrorCode::kNotFound, fmt::format("`{}` is a service, and no view", word))
                    .With(base::kNextStep, fmt::format("headrace get --service {} ...", word)));
  Error error = contract::NoSuchName("view", word, names.views(), names.pipeline());
  if (const auto on_request = names.on_request(); !on_request.empty())
    error.With("on_request", contract::Listed(on_request));
  return Fail(std::move(error));
}

base::Result<Asked> AskedBy(const GetOptions& options, const ServedNames& names) {
  if (options.service.empty()) return AskedBy(options.view, names);
  HR_TRY_VOID(names.CheckService(options.service));
  return Asked{{{"feature_service", options.service}}, names.InputsOfService(options.service)};
}

// Not passed over, as Feast's endpoint does: a name that nothing asks for is a mistake.
Error NotAskedFor(const std::string& name, const InputTypes& inputs) {
  std::vector<std::string> names;
  for (const auto& [input, type] : inputs) names.push_back(input);
  return Error(ErrorCode::kInvalidInput,
               fmt::format("`{}` is no key and no input of what is asked for", name))
      .With("takes", contract::Listed(names))
      .With(base::kNextStep, contract::DidYouMean(name, names, "leave it out"));
}

// "origin=ORD" -> {"origin", ["ORD"]}, typed as the view's key is; what has no known type goes as
// JSON if it is, else as text.
base::Result<void> AddInput(const std::string& argument, const InputTypes& inputs, json& entities) {
  const size_t equals = argument.find('=');
  if (equals == std::string::npos || equals == 0)
    return Fail(ErrorCode::kInvalidInput,
                fmt::format("`{}` is no key: write NAME=VALUE, such as origin=ORD", argument));
  const std::string name = argument.substr(0, equals);
  const std::string text = argument.substr(equals + 1);
  const auto known = inputs.find(name);
  if (known == inputs.end()) return Fail(NotAskedFor(name, inputs));
  const auto type = columns::TypeNamed(known->second);
  if (type) {
    HR_TRY(const columns::Value value, columns::Value::FromText(*type, text));
    entities[name] = json::array({json::parse(value.ToJson())});
    return {};
  }
  json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  entities[name] = json::array({value.is_number() || value.is_boolean() ? value : json(text)});
  return {};
}

base::Result<std::string> Ask(const GetOptions& options) {
  HttpCalls calls(options.http, kLookbackTimeout);
  HR_TRY(const ServedNames names, ServedNames::Ask(calls));
  HR_TRY(Asked asked, AskedBy(options, names));
  json& question = asked.question;
  question["entities"] = json::object();
  for (const std::string& key : options.keys)
    HR_TRY_VOID(AddInput(key, asked.inputs, question["entities"]));
  if (!options.epoch && options.as_of.empty())
    return calls.PostJson("/get-online-features", base::JsonText(question));
  if (!options.as_of.empty()) question["as_of"] = options.as_of;
  return calls.PostJson(
      options.epoch ? fmt::format("/get-features-at?epoch={}", *options.epoch) : "/get-features-at",
      base::JsonText(question));
}

// One line a feature: name, value, status, time of the key's newest row.
void PrintAnswer(const CommandContext& context, const ordered_json& answer) {
  const ordered_json& names = answer["metadata"]["feature_names"];
  const ordered_json& results = answer["results"];
  AlignedLines lines({"feature", "value", "status", "newest row"});
  for (size_t i = 0; i < names.size() && i < results.size(); ++i) {
    const std::string time = results[i]["event_timestamps"][0].get<std::string>();
    lines.Add({names[i].get<std::string>(), TextOf(results[i]["values"][0]),
               results[i]["statuses"][0].get<std::string>(),
               time.starts_with("1970-01-01T00:00:00") ? "" : time});
  }
  lines.Print(context.out);
  const auto provenance = answer.find("headrace");
  if (provenance == answer.end()) return;
  std::string line;
  for (const auto& [name, value] : provenance->items())
    if (!value.is_null())
      line += fmt::format("{}{} {}", line.empty() ? "" : "   ", name, ClockText(TextOf(value)));
  fmt::print(context.out, "\n{}\n", line);
}

}  // namespace

int RunGet(const GetOptions& options, CommandContext& context) {
  if (options.view.empty() == options.service.empty())
    return ReportError(
        context,
        Error(ErrorCode::kInvalidInput,
              "name a view or a feature, or a service with --service: one of the two")
            .With("usage", "headrace get VIEW KEY=VALUE, or headrace get --service NAME KEY=VALUE")
            .With(base::kNextStep,
                  "`headrace status` lists the views, `headrace help get` the "
                  "options"));
  return WriteAnswer(context, Ask(options),
                     [&](const ordered_json& answer) { PrintAnswer(context, answer); });
}

}  // namespace headrace::app
