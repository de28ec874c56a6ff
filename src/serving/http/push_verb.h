#pragma once
// POST /streams/{stream}/push-get and GET /pushes/{token}: docs/reference/http.md.

#include <string>

#include "protocols/http_router.h"
#include "serving/push/push.h"

namespace headrace::serving {

// Large events are typed on the executor (ingest::TypingQueue). Service and executor outlive the
// router.
void MountPush(protocols::HttpRouter& router, PushService& pushes, env::Executor& events);

// What a request asks for. Errors: kInvalidInput (the query string).
base::Result<PushRequest> ParsePushRequest(protocols::HttpRequest& request);
// The answer as it is sent: 200 with features, 422 for a refused event without, 504 past the
// deadline without, else the status of the reason.
protocols::HttpResponse PushResponse(const PushAnswer& answer);

}  // namespace headrace::serving
