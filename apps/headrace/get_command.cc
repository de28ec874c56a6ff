// headrace get: one answer, over HTTP.

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "columns/value.h"
#include "commands.h"
#include "http_calls.h"

namespace headrace::app {
namespace {

using base::Error;
using base::ErrorCode;
using base::Fail;
using nlohmann::json;
using nlohmann::ordered_json;

// The names that a question may give values to: join keys and inputs of on-request features, with
// their types.
std::map<std::string, std::string> InputTypes(const json& views) {
  std::map<std::string, std::string> types;
  for (const json& view : views.value("views", json::array()))
    for (const json& key : view.value("join_keys", json::array()))
      types[key.value("name", "")] = key.value("type", "");
  return types;
}

// "origin=ORD" -> {"origin", ["ORD"]}, typed as the view's key is; what has no known type goes as
// JSON if it is, else as text.
base::Result<void> AddInput(const std::string& argument,
                            const std::map<std::string, std::string>& types, json& entities) {
  const size_t equals = argument.find('=');
  if (equals == std::string::npos || equals == 0)
    return Fail(ErrorCode::kInvalidInput,
                fmt::format("`{}` is no key: write NAME=VALUE, such as origin=ORD", argument));
  const std::string name = argument.substr(0, equals);
  const std::string text = argument.substr(equals + 1);
  const auto known = types.find(name);
  const auto type = known == types.end() ? std::nullopt : columns::TypeNamed(known->second);
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
  HR_TRY(const std::string views_text, calls.Get("/views"));
  const json views = json::parse(views_text, nullptr, /*allow_exceptions=*/false);
  json question = {{"entities", json::object()}};
  if (options.service.empty()) {
    question["features"] = {options.view + ".*"};
  } else {
    question["feature_service"] = options.service;
  }
  const auto types = InputTypes(views.is_object() ? views : json::object());
  for (const std::string& key : options.keys)
    HR_TRY_VOID(AddInput(key, types, question["entities"]));
  if (!options.epoch && options.as_of.empty())
    return calls.PostJson("/get-online-features", question.dump());
  if (!options.as_of.empty()) question["as_of"] = options.as_of;
  return calls.PostJson(
      options.epoch ? fmt::format("/get-features-at?epoch={}", *options.epoch) : "/get-features-at",
      question.dump());
}

// One line a feature: name, value, status when there is something to say, time of the key's newest
// row.
void PrintAnswer(const CommandContext& context, const ordered_json& answer) {
  const ordered_json names = answer["metadata"]["feature_names"];
  const ordered_json& results = answer["results"];
  size_t width = 0;
  for (const ordered_json& name : names) width = std::max(width, name.get<std::string>().size());
  for (size_t i = 0; i < names.size() && i < results.size(); ++i) {
    const std::string status = results[i]["statuses"][0].get<std::string>();
    const std::string time = results[i]["event_timestamps"][0].get<std::string>();
    const bool timed = !time.starts_with("1970-01-01T00:00:00");
    fmt::print(context.out, "{:<{}}  {:<14}  {}{}\n", names[i].get<std::string>(), width,
               TextOf(results[i]["values"][0]), status == "PRESENT" ? "" : status,
               timed ? (status == "PRESENT" ? "" : "  ") + time : "");
  }
  const auto provenance = answer.find("headrace");
  if (provenance == answer.end()) return;
  fmt::print(context.out, "\n");
  for (const auto& [name, value] : provenance->items())
    if (!value.is_null()) fmt::print(context.out, "{} {}   ", name, TextOf(value));
  fmt::print(context.out, "\n");
}

}  // namespace

int RunGet(const GetOptions& options, CommandContext& context) {
  if (options.view.empty() == options.service.empty())
    return ReportError(context, Error(ErrorCode::kInvalidInput,
                                      "name a view, or a service with --service: one of the two"));
  return WriteAnswer(context, Ask(options),
                     [&](const ordered_json& answer) { PrintAnswer(context, answer); });
}

}  // namespace headrace::app
