#pragma once
// The answer to "what are this view's features for this key?", online and offline alike.

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "columns/value.h"

namespace headrace::pipeline {

// Feast's enumeration, with its numbers.
enum class FeatureStatus : uint8_t {
  kInvalid = 0,  // computed, but outside what its type can hold
  kPresent = 1,
  kNullValue = 2,  // the key is known; the answer is null
  kNotFound = 3,   // no row of the key with event time <= as_of
  kOutsideMaxAge =
      4,  // the key's newest event is older than ttl, or the source is further behind than max_lag
};
std::string_view NameOf(FeatureStatus status);  // "PRESENT" ...

// One key's features: one value and status per output of the view, in the definition's order.
struct ViewAnswer {
  std::vector<columns::Value> values;
  std::vector<FeatureStatus> statuses;
  std::optional<base::Timestamp> event_time;  // of the key's newest row with event time <= as_of
};

}  // namespace headrace::pipeline
