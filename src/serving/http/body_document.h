#pragma once
// A request's body as a JSON object.

#include <expected>
#include <functional>
#include <string_view>

#include "protocols/http_message.h"
#include "serving/http/feast_request.h"

namespace simdjson::dom {
class element;  // NOLINT(readability-identifier-naming): its own name
}

namespace headrace::serving {

using BodyField = std::function<std::expected<void, FieldProblem>(
    std::string_view name, const simdjson::dom::element& value)>;

// Each field in the order of the body, up to the first that is refused; they are valid until it
// returns. The body's own problems are Feast's: "missing", "json_invalid", or
// that it is no dictionary.
std::expected<void, FieldProblem> ForEachBodyField(const protocols::HttpRequest& request,
                                                   const BodyField& read);

}  // namespace headrace::serving
