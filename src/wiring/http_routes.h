#pragma once
// Every verb of the HTTP port: what it takes, what it answers and what it needs of a caller. The
// OpenAPI document, the list in docs/reference/http.md, the check of tokens and the tests that each
// verb answers as declared go by this one table.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/http_router.h"

namespace headrace::wiring {

// In the query string or a header; those in the path are in its braces.
struct RouteParameter {
  enum class Place : uint8_t { kQuery, kHeader } place;
  std::string_view name;
  std::string_view type;  // of JSON Schema
  std::string_view says;
};

// A field of an answer's head, which not every answer has.
struct RouteHeader {
  std::string_view name;
  std::string_view says;
};

// One way that a verb answers. A schema is the name of one in SchemaTable, or empty: no body.
struct RouteReply {
  int status;
  std::string_view media;
  std::string_view schema;
  std::string_view says;
  std::vector<RouteHeader> headers = {};
};

struct RouteRow {
  protocols::HttpMethod method;
  std::string_view path;  // as HttpRouter::Add takes it
  protocols::RouteNeed need;
  std::string_view id;  // operationId
  std::string_view says;
  std::string_view media;           // of the body; empty: none
  std::string_view request_schema;  // of SchemaTable; empty: any text
  std::vector<RouteParameter> parameters;
  // What it says besides a problem document, which may be any verb's answer.
  std::vector<RouteReply> replies;
  bool only_in_demonstration = false;
};
// In the order of the reference.
std::span<const RouteRow> RouteTable();

// Tells the router what its routes need, whoever mounted them; one that the table does not name
// needs `admin`.
void SetRouteNeeds(protocols::HttpRouter& router);

// A name and its JSON Schema, as text.
struct SchemaRow {
  std::string_view name;
  std::string_view json;
};
std::span<const SchemaRow> SchemaTable();

// OpenAPI 3.1 of the table: docs/reference/openapi.json, and what GET /openapi.json answers.
std::string OpenApiJson();
// The list of verbs, in Markdown.
std::string RouteListMarkdown();

}  // namespace headrace::wiring
