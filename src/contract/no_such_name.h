#pragma once
// The error of a name that is not there: which ones are, and the nearest of them.

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace headrace::contract {

// kNotFound: "no view `nope` in pipeline flights", of kind "view" and place "pipeline flights"
// (which may be empty), with {views: "origin, route"} and a next step that names the nearest.
base::Error NoSuchName(std::string_view kind, std::string_view name,
                       const std::vector<std::string>& names, std::string_view place = {});

// "a, b, c"; of many the first ones, and how many more there are.
std::string Listed(const std::vector<std::string>& names);

}  // namespace headrace::contract
