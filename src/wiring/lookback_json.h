#pragma once
// Questions about the past and their answers as JSON: POST /explain,
// POST /get-features-at and POST /last-events (docs/reference/http.md).

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"
#include "protocols/http_message.h"
#include "wiring/lookback.h"

namespace headrace::wiring {

template <typename Request>
struct Timed {
  Request request;
  std::chrono::milliseconds deadline = Lookback::kDeadline;
};

// {"view","key":{..},"feature","epoch","as_of","limit","source","served","deadline_ms"}: the first
// three must be there; an unknown member is refused. Errors: kInvalidInput, with field=.
base::Result<Timed<ExplainRequest>> ParseExplainRequest(std::string_view body);
std::string ExplanationJson(const Explanation& explanation);

// {"view" or "stream","key":{..},"last","epoch","source","deadline_ms"}. Errors: likewise.
base::Result<Timed<EventsRequest>> ParseEventsRequest(std::string_view body);
std::string LastEventsJson(const LastEvents& events);

// The body of POST /get-features-at is that of /get-online-features (`mode` is strict); `epoch`,
// `as_of`, `source` and `deadline_ms` may stand in the query string. Errors: kInvalidInput.
base::Result<Timed<PastRequest>> ParsePastRequest(const protocols::HttpRequest& request);
// As /get-online-features answers; "headrace" has the source, too.
std::string PastAnswerJson(const PastAnswer& past);

}  // namespace headrace::wiring
