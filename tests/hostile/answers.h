#pragma once
// Answers as a client reads them off a connection.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hostile/small_engine.h"

namespace headrace::hostile {

// The whole answers at the front of `bytes`, as tests/hostile compares them: "400 the body", or a
// RESP reply as it was sent. Nothing when they are no such answers, or the last one is cut off.
std::optional<std::vector<std::string>> ReadAnswers(Protocol protocol, std::string_view bytes);

}  // namespace headrace::hostile
