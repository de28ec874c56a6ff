#pragma once
// What a DoExchange that reads features asks for: its command, and what each batch says beside it.

#include <string>
#include <string_view>

#include "base/result.h"
#include "serving/answer.h"

namespace headrace::serving {

inline constexpr size_t kReadCommandBytesMax = 256U << 10;

// {"service":"scoring"} or {"features":["card:spend_1h", "card.*"]}, and of either
// {"min_epoch":n,"deadline_ms":n,"as_of":"2026-01-31T10:00:00Z"}. A
// deadline over AnswerLimits::wait_max is cut to that. Errors: kInvalidInput that says
// what is wrong; an unknown member is.
base::Result<FeatureQuery> ParseReadCommand(std::string_view json);
// The app_metadata of one batch: min_epoch, deadline_ms and as_of, which win over the command's.
// Nothing changes when it is empty.
base::Result<void> ReadBatchRequest(std::string_view json, FeatureQuery& query);

}  // namespace headrace::serving
