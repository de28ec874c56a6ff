#pragma once
// A service's answer, and what went wrong, as the Redis protocol says it.

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "protocols/resp_writer.h"
#include "serving/answer.h"

namespace headrace::serving {

enum class Statuses : uint8_t {
  kAnswered,
  kDefaults,  // the values are those that the service names: DEFAULT
};

// The pairs that WriteServicePairs writes.
inline constexpr size_t kServicePairs = 5;
// epoch, as_of, lag, features and statuses, of the answer's one row; the first three null for
// defaults.
void WriteServicePairs(const FeatureAnswer& answer, Statuses statuses, protocols::RespWriter& out);
// TRYAGAIN for what may be repeated, FULL when the log or the disk is, NOPERM for what the caller
// may not do, else ERR.
void WriteAnswerError(const base::Error& error, protocols::RespWriter& out);
// The whole of `text` as a number; nothing otherwise.
std::optional<uint64_t> ReadCount(std::string_view text);

}  // namespace headrace::serving
