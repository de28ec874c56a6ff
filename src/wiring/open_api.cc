// The documents of http_routes.h.
#include <fmt/format.h>

#include <cctype>
#include <nlohmann/json.hpp>

#include "wiring/http_routes.h"

#include "base/json_text.h"

namespace headrace::wiring {
namespace {

using Json = nlohmann::ordered_json;

Json Reference(std::string_view schema) {
  return {{"$ref", fmt::format("#/components/schemas/{}", schema)}};
}

Json Content(std::string_view media, std::string_view schema) {
  return {{std::string(media), {{"schema", schema.empty() ? Json::object() : Reference(schema)}}}};
}

Json Parameter(std::string_view name, std::string_view place, std::string_view type,
               std::string_view says) {
  Json parameter = {{"name", name}, {"in", place}};
  if (place == "path") parameter["required"] = true;
  if (!says.empty()) parameter["description"] = says;
  parameter["schema"] = {{"type", type}};
  return parameter;
}

Json Parameters(const RouteRow& row) {
  Json parameters = Json::array();
  for (size_t open = row.path.find('{'); open != std::string_view::npos;
       open = row.path.find('{', open + 1)) {
    const size_t close = row.path.find('}', open);
    parameters.push_back(
        Parameter(row.path.substr(open + 1, close - open - 1), "path", "string", ""));
  }
  for (const RouteParameter& given : row.parameters)
    parameters.push_back(
        Parameter(given.name, given.place == RouteParameter::Place::kQuery ? "query" : "header",
                  given.type, given.says));
  return parameters;
}

Json Operation(const RouteRow& row) {
  Json operation = {{"operationId", row.id}, {"summary", row.says}};
  if (Json parameters = Parameters(row); !parameters.empty())
    operation["parameters"] = std::move(parameters);
  if (!row.media.empty())
    operation["requestBody"] = {{"required", true},
                                {"content", Content(row.media, row.request_schema)}};
  Json replies = Json::object();
  for (const RouteReply& reply : row.replies) {
    Json& told = replies[std::to_string(reply.status)];
    told["description"] = reply.says;
    for (const RouteHeader& header : reply.headers)
      told["headers"][std::string(header.name)] = {{"description", header.says},
                                                   {"schema", {{"type", "string"}}}};
    if (!reply.media.empty()) told["content"] = Content(reply.media, reply.schema);
  }
  replies["default"] = {{"description", "a problem document"},
                        {"content", Content("application/problem+json", "Problem")}};
  operation["responses"] = std::move(replies);
  return operation;
}

std::string Method(protocols::HttpMethod method) {
  std::string name(protocols::NameOf(method));
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

}  // namespace

std::string OpenApiJson() {
  Json document = {{"openapi", "3.1.0"},
                   {"info",
                    {{"title", "Headrace"},
                     {"version", "0.1"},
                     {"description", "docs/reference/http.md has it in words."},
                     {"license", {{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}}}},
                   {"servers", Json::array({{{"url", "http://localhost:6566"}}})},
                   {"paths", Json::object()}};
  for (const RouteRow& row : RouteTable())
    document["paths"][std::string(row.path)][Method(row.method)] = Operation(row);
  for (const SchemaRow& schema : SchemaTable())
    document["components"]["schemas"][std::string(schema.name)] = Json::parse(schema.json);
  return base::JsonText(document, 1) + "\n";
}

std::string RouteListMarkdown() {
  std::string text = "| verb | answers |\n|---|---|\n";
  for (const RouteRow& row : RouteTable()) {
    std::string query;
    for (const RouteParameter& parameter : row.parameters)
      if (parameter.place == RouteParameter::Place::kQuery)
        query += fmt::format("{}{}=", query.empty() ? "?" : "&", parameter.name);
    text += fmt::format("| `{} {}{}` | {} |\n", protocols::NameOf(row.method), row.path, query,
                        row.says);
  }
  return text;
}

}  // namespace headrace::wiring
