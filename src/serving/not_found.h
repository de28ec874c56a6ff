#pragma once
// The error of a question that names a view, service or feature that is not there.

#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace headrace::serving {

// `object` says what kind of thing was named: "view", "service", "feature".
inline std::unexpected<base::Error> NotFound(std::string_view object, std::string_view name,
                                             std::string message) {
  return base::Fail(base::Error(base::ErrorCode::kNotFound, std::move(message))
                        .With("object", std::string(object))
                        .With("name", std::string(name)));
}

}  // namespace headrace::serving
