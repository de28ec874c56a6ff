#pragma once
// Base64 of RFC 4648 section 4, with padding, as `bytes` fields travel in JSON.

#include <optional>
#include <string>
#include <string_view>

namespace headrace::base {

void AppendBase64(std::string& out, std::string_view bytes);
// The bytes; nothing when `text` is not canonical base64 (alphabet, padding, zero bits at the end).
std::optional<std::string> DecodeBase64(std::string_view text);

}  // namespace headrace::base
