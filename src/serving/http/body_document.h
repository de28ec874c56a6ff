#pragma once
// A request's body as a JSON object.

#include <simdjson.h>

#include <expected>

#include "protocols/http_message.h"
#include "serving/http/feast_request.h"

namespace headrace::serving {

// Valid until this thread reads the next one, and no longer than the request. The problem is
// Feast's: "json_invalid", or that it is no dictionary.
std::expected<simdjson::dom::object, FieldProblem> ReadBodyDocument(
    const protocols::HttpRequest& request);

}  // namespace headrace::serving
