#pragma once
// The status document for people: its verdict, then an outline of the rest.

#include <nlohmann/json.hpp>
#include <string>

namespace headrace::app {

// Of a JSON object; lines, each with its line break.
std::string StatusText(nlohmann::ordered_json status);

}  // namespace headrace::app
