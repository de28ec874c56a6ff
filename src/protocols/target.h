#pragma once
// A request's target: path and query, percent-decoded once.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headrace::protocols {

struct Target {
  std::string path;
  std::vector<std::pair<std::string, std::string>> query;
};

// Origin form ("/a/b?c=d"), absolute form ("http://host/a"), or "*". In the query '+' is a blank.
// Nothing when it is none of these, when an escape is broken or means NUL, '/' within a segment, or
// when it has a fragment.
std::optional<Target> ParseTarget(std::string_view target);

// A flag, in any case: true, t, yes, y, on, 1 and their opposites. Nothing when it is neither.
std::optional<bool> ReadFlag(std::string_view text);

}  // namespace headrace::protocols
