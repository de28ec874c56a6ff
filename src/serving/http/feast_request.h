#pragma once
// The body of POST /get-online-features, as Feast 0.67 takes it, with our own fields beside.

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/http_message.h"
#include "serving/answer.h"

namespace headrace::serving {

// kStrict tells NULL_VALUE and OUTSIDE_MAX_AGE; kFeast says PRESENT for both, as Feast's own server
// does.
enum class StatusMode : uint8_t { kStrict, kFeast };

// Feast's verbs under "/feast" are in kFeast: a client that only takes a path can ask for it so.
constexpr std::string_view PrefixOf(StatusMode mode) {
  return mode == StatusMode::kFeast ? "/feast" : "";
}

// Of a request's body; more is refused by its head. The most rows with a dozen keys have less.
inline constexpr uint64_t kReadBytesMax = 4U << 20;

struct FeastRequest {
  FeatureQuery query;
  std::optional<std::chrono::milliseconds> deadline = {};  // as it was said
  bool full_feature_names = false;
  bool view_metadata = false;  // include_feature_view_version_metadata
  StatusMode mode = StatusMode::kStrict;
};

// One thing wrong with a request, as pydantic says it.
struct FieldProblem {
  std::string type;                   // "missing", "list_type" ...
  std::vector<std::string> location;  // {"entities", "origin"}, below "body"
  std::string message;
  std::optional<size_t> index = {};  // in the list that `location` ends with
};

// At least one. As pydantic tells them: each field that is wrong, in the order of the model's;
// where none is, the first thing that the verb's own code finds.
using FieldProblems = std::vector<FieldProblem>;
// Whether it is one of those, which pydantic does not see.
bool IsOfCode(const FieldProblem& problem);

// Reads the body (whatever its content type; it has 64 bytes of spare capacity) and as_of,
// min_epoch, deadline_ms and mode from the query string, which wins over fields of the same names.
// `mode` is that of a request which names none.
std::expected<FeastRequest, FieldProblems> ParseFeastRequest(const protocols::HttpRequest& request,
                                                             StatusMode mode);

}  // namespace headrace::serving
