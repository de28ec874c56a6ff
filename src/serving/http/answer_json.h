#pragma once
// An answer as text, in Feast's shapes.

#include <cstddef>
#include <string>

#include "serving/answer.h"
#include "serving/http/feast_request.h"

namespace headrace::serving {

// Texts that answers of one list of features share are kept by each thread: so many, each at most
// so long; others are made anew each time.
inline constexpr size_t kMetadataKept = 64;
inline constexpr size_t kMetadataBytesMax = 16U << 10;

// {"results":[..],"metadata":{"feature_names":[..]},"headrace":{"epoch","as_of","lag_ms","log","definition","clock"}}.
// Features are in the order of the request; two of one short name are told apart as view__feature
// even when full names were not asked for.
std::string FeastAnswerJson(const FeatureAnswer& answer, const FeastRequest& request);

}  // namespace headrace::serving
