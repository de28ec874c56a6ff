#include "base/ids.h"

#include <charconv>

#include <fmt/core.h>

namespace headrace::base {

std::string LogId::ToString() const {
  std::string text;
  text.reserve(32);
  for (const uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

Result<LogId> LogId::Parse(std::string_view text) {
  LogId id;
  if (text.size() != 2 * id.bytes.size())
    return Fail(ErrorCode::kInvalidInput,
                fmt::format("a log id has 32 hexadecimal digits, not `{}`", text));
  for (size_t i = 0; i < id.bytes.size(); ++i) {
    const char* first = text.data() + 2 * i;
    const auto [end, error] = std::from_chars(first, first + 2, id.bytes[i], 16);
    if (error != std::errc() || end != first + 2)
      return Fail(ErrorCode::kInvalidInput,
                  fmt::format("a log id has 32 hexadecimal digits, not `{}`", text));
  }
  return id;
}

std::string DefinitionId::ToString() const { return fmt::format("{:016x}", value); }

}  // namespace headrace::base
