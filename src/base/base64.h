#pragma once
// Base64 of RFC 4648 section 4, as `bytes` fields travel in JSON.

#include <optional>
#include <string>
#include <string_view>

namespace headrace::base {

// The bytes; nothing when `text` is not canonical base64 (alphabet, padding, zero bits at the end).
std::optional<std::string> DecodeBase64(std::string_view text);

}  // namespace headrace::base
