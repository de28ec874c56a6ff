#pragma once
// A parameter of a request that is true or false.

#include <string_view>

#include "base/result.h"
#include "protocols/http_message.h"

namespace headrace::wiring {

// False unless it is there. Errors: kInvalidInput for what is neither.
base::Result<bool> QueryFlag(const protocols::HttpRequest& request, std::string_view name);

}  // namespace headrace::wiring
