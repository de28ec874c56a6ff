#pragma once
// A request's body as a JSON object.

#include <expected>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "serving/http/feast_request.h"

namespace simdjson::dom {
class element;  // NOLINT(readability-identifier-naming): its own name
}

namespace headrace::serving {

using BodyField = std::function<std::expected<void, FieldProblem>(
    std::string_view name, const simdjson::dom::element& value)>;

// Each field in the order of the body; they are valid until it returns. The body should have 64
// bytes of spare capacity. Errors: the problems of the fields in that order, or one of the body as
// Feast tells it: "missing", "json_invalid", or that it is no dictionary.
std::expected<void, FieldProblems> ForEachBodyField(const std::string& body, const BodyField& read);
// Of all that was found, what is told; `model`: its fields.
FieldProblems Told(FieldProblems found, std::span<const std::string_view> model);

// A boolean as pydantic takes it: true, "yes", 1. Errors: "bool_type", "bool_parsing".
std::expected<void, FieldProblem> ReadBodyFlag(const simdjson::dom::element& element,
                                               std::string_view field, bool& out);

}  // namespace headrace::serving
