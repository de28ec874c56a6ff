#pragma once
// Questions about the past and their answers as JSON: POST /explain,
// POST /get-features-at and POST /last-events (docs/reference/http.md).

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "protocols/http_message.h"
#include "serving/http/feast_request.h"
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

struct PastQuestion : Timed<PastRequest> {
  std::optional<base::EpochId> min_epoch;  // to wait for; not beside an epoch
  serving::FeastRequest shape;             // of the answer: the names of its features
};
// The body of POST /get-features-at is that of /get-online-features (`mode` is strict); `epoch` and
// `source` stand in the query string. Errors: kInvalidInput.
base::Result<PastQuestion> ParsePastRequest(const protocols::HttpRequest& request);
// As /get-online-features answers; "headrace" has the source, too.
std::string PastAnswerJson(const PastAnswer& past, const serving::FeastRequest& shape);

}  // namespace headrace::wiring
