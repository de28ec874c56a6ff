#pragma once
// Errors as HTTP sees them: RFC 9457 problem documents made from base::Error.

#include <optional>
#include <string>

#include "base/error.h"
#include "protocols/http_message.h"

namespace headrace::protocols {

// "HR0900" ...: contract::CodeText. A context entry named "code" (a diagnostic's own)
// takes its place in a problem.
std::string ProblemCode(base::ErrorCode code);

// {"type","title","status","detail","code","caller_should","context":{...}} as
// application/problem+json. `status` replaces the one of the error table where HTTP has a closer
// one (400, 413, 431 ...).
HttpResponse ProblemResponse(const base::Error& error, std::optional<int> status = std::nullopt);

}  // namespace headrace::protocols
