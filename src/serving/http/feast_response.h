#pragma once
// Answers and errors in the shapes of Feast 0.67's feature server: column-major results, join keys
// first.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "columns/event_batch.h"
#include "protocols/http_message.h"
#include "serving/answer.h"
#include "serving/http/feast_frame.h"
#include "serving/http/feast_request.h"

namespace headrace::serving {

// The answer; in StatusMode::kFeast two features of one short name are Feast's error.
protocols::HttpResponse AnswerResponse(const FeatureAnswer& answer, const FeastRequest& request);

// 422 {"detail":[{"type","loc":["body",..],"msg"}]}; what Feast's own code finds, and not pydantic
// (type "value_error", or about a column of a frame), is its bare 500 in StatusMode::kFeast.
protocols::HttpResponse RequestProblemResponse(const FieldProblems& problems, StatusMode mode);

// Unknown views, services and features, and missing request inputs: 404 with a JSON string that
// holds JSON. What Feast answers with a bare 500 (missing join key, wrong type) is that in
// StatusMode::kFeast, else 422. The rest are problem documents. `project` is the pipeline's name.
protocols::HttpResponse AnswerErrorResponse(const base::Error& error, StatusMode mode,
                                            std::string_view project);

// Of POST /push and /write-to-online-store. Unknown targets are Feast's errors; what its code fails
// at (a column, a row, a value of `to`) is a 422, in StatusMode::kFeast its bare 500.
protocols::HttpResponse WriteErrorResponse(const base::Error& error, StatusMode mode);
// None of the frame's rows went in. At most kRefusedListedMax are told of; of a repeat maybe none,
// but how many there were (ingest::IngestOutcome).
inline constexpr size_t kRefusedListedMax = 100;
protocols::HttpResponse RefusedRowsResponse(uint64_t refused_rows,
                                            const std::vector<columns::RejectedRow>& refused,
                                            StatusMode mode);
// 200, as Feast has it: nothing for a push, `null` for a write; and the epoch for min_epoch; none
// when there were no rows.
inline constexpr std::string_view kEpochHeader = "Headrace-Epoch";
protocols::HttpResponse WrittenResponse(FrameVerb verb, std::optional<base::EpochId> epoch);

}  // namespace headrace::serving
