#pragma once
// Tokens at the Flight server: every call shows one in its `authorization` header, and is refused
// before its verb sees anything of it.

#include <memory>

#include "access/access_list.h"
#include "base/result.h"

namespace arrow::flight {
class ServerCallContext;
class ServerMiddlewareFactory;
}  // namespace arrow::flight

namespace headrace::ingest {

// What the middleware is called among those of a server.
inline constexpr const char* kFlightAccess = "headrace-access";

// DoPut and DoAction need `push` for some stream (DoPut's own is looked at by ScopedGate); DoGet
// and DoExchange `read` for some name (which one, and which columns, is for what they ask to look
// at); what lists and describes, any token.
// The list outlives the server.
std::shared_ptr<arrow::flight::ServerMiddlewareFactory> MakeFlightAccess(
    const access::AccessList& list);

// Who makes a call; null where access is not controlled.
access::CallerRef CallerOf(const arrow::flight::ServerCallContext& context);

// Whether the token that the call showed is still that caller's, with the same scopes. Any thread.
// Errors: kUnauthorized.
base::Result<void> CheckToken(const arrow::flight::ServerCallContext& context);

}  // namespace headrace::ingest
