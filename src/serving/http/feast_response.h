#pragma once
// Answers and errors in the shapes of Feast 0.67's feature server: column-major results, join keys
// first.

#include <string>

#include "base/error.h"
#include "protocols/http_message.h"
#include "serving/answer.h"
#include "serving/http/feast_request.h"

namespace headrace::serving {

// {"results":[..],"metadata":{"feature_names":[..]},"headrace":{"epoch","as_of","lag_ms","log","definition","clock"}}.
// Features are in the order of the request; two of one short name are told apart as view__feature
// even when full names were not asked for.
std::string FeastAnswerJson(const FeatureAnswer& answer, const FeastRequest& request);

// 422 {"detail":[{"type","loc":["body",..],"msg"}]}.
protocols::HttpResponse FieldProblemResponse(const FieldProblem& problem);

// Unknown views, services and features, and missing request inputs: 404 with a JSON string that
// holds JSON. What Feast answers with a bare 500 (missing join key, wrong type) is that in
// StatusMode::kFeast, else 422. The rest are problem documents.
protocols::HttpResponse AnswerErrorResponse(const base::Error& error, StatusMode mode);

}  // namespace headrace::serving
