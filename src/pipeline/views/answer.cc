#include "pipeline/views/answer.h"

namespace headrace::pipeline {

std::string_view NameOf(FeatureStatus status) {
  switch (status) {
    case FeatureStatus::kInvalid: return "INVALID";
    case FeatureStatus::kPresent: return "PRESENT";
    case FeatureStatus::kNullValue: return "NULL_VALUE";
    case FeatureStatus::kNotFound: return "NOT_FOUND";
    case FeatureStatus::kOutsideMaxAge: return "OUTSIDE_MAX_AGE";
  }
  return "INVALID";
}

}  // namespace headrace::pipeline
