#pragma once
// Which epochs say that a stream's source is alive.

#include <optional>
#include <string_view>

#include "base/ids.h"
#include "log/epoch.h"

namespace headrace::log {

// A heartbeat does, and so do rows of the source, refused ones too. Refused rows that somebody
// sends again do not. `stream` may not be known yet, `name` always is.
bool IsHeardOf(const Epoch& epoch, std::optional<base::StreamId> stream, std::string_view name);

}  // namespace headrace::log
